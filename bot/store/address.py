"""What of a database's address may be shown, and names as PostgreSQL reads them. Rule: never a password."""

from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url


def is_file(url: str) -> bool:
    """Whether the database is a file (SQLite), which the server may create and migrate by itself."""
    return url.startswith("sqlite")


def shown(url: str) -> str:
    """The file, or `host:port/database`."""
    if is_file(url):
        return str(make_url(url).database)
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError:
        port = 5432  # whoever connects is told that it is no number
    return f"{parts.hostname or 'localhost'}:{port}/{unquote(parts.path.lstrip('/'))}"


def role_of(url: str) -> str:
    """The role that an address names; empty when it names none."""
    return unquote(urlsplit(url).username or "")


def quoted(name: str) -> str:
    """An identifier as PostgreSQL reads it."""
    return '"' + name.replace('"', '""') + '"'
