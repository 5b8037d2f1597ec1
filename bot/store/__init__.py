"""All SQL: the tables, their migrations, the one door (`Store`) and the lock that keeps a second server out.

Rule: a state change, its event, its leaf in the tree and whatever must happen with it are one transaction.
"""

from sqlalchemy.exc import DBAPIError as DatabaseTrouble

from bot.store.also import Duplicate
from bot.store.engine import is_file, open_engine
from bot.store.lock import AlreadyServed, only_server
from bot.store.migrate import SchemaOutdated, migrate, require_current
from bot.store.reader import Clock, Held, Line, Reader, StoredCheckpoint, UnknownRequest
from bot.store.store import Raced, Store

__all__ = [
    "AlreadyServed",
    "Clock",
    "DatabaseTrouble",
    "Duplicate",
    "Held",
    "Line",
    "Raced",
    "Reader",
    "SchemaOutdated",
    "Store",
    "StoredCheckpoint",
    "UnknownRequest",
    "is_file",
    "migrate",
    "only_server",
    "open_engine",
    "require_current",
]
