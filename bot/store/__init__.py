"""All SQL: the tables, their migrations, the one door (`Store`) and the lock that keeps a second server out.

Rule: a state change, its event, its leaf in the tree and whatever must happen with it are one transaction.
"""

from sqlalchemy.exc import DBAPIError as DatabaseTrouble

from bot.store.address import is_file, role_of, shown
from bot.store.also import Duplicate
from bot.store.copying import Copied, Moved, NotEmpty, cancel, copy, require_here
from bot.store.engine import open_engine
from bot.store.lock import AlreadyServed, Right, only_server
from bot.store.migrate import SchemaOutdated, migrate, require_current
from bot.store.reader import Clock, Reader, UnknownRequest
from bot.store.rights import Wrong, WrongRights, grant_rights, require_owner, require_rights, wrong_rights
from bot.store.rows import Carried, Due, Held, Line, StoredCheckpoint, StoredWords
from bot.store.store import Raced, Store

__all__ = [
    "AlreadyServed",
    "Carried",
    "Clock",
    "Copied",
    "DatabaseTrouble",
    "Due",
    "Duplicate",
    "Held",
    "Line",
    "Moved",
    "NotEmpty",
    "Raced",
    "Reader",
    "Right",
    "SchemaOutdated",
    "Store",
    "StoredCheckpoint",
    "StoredWords",
    "UnknownRequest",
    "Wrong",
    "WrongRights",
    "cancel",
    "copy",
    "grant_rights",
    "is_file",
    "migrate",
    "only_server",
    "open_engine",
    "require_current",
    "require_here",
    "require_owner",
    "require_rights",
    "role_of",
    "shown",
    "wrong_rights",
]
