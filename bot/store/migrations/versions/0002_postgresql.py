"""PostgreSQL takes what SQLite takes, its triggers hold in every session, and a history can move."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import Moment

revision = "0002"
down_revision = "0001"

HISTORY = ("events", "checkpoints")
LINES = {
    "cards": ("request", "channel", "ts"),
    "cursors": ("stream",),
    "events": ("type", "request"),
    "factors": ("person",),
    "failures": ("person",),
    "handoffs": ("request",),
    "installation": ("name", "origin", "team"),
    "posts": ("channel", "ts", "stream", "state"),
    "requests": ("id", "state", "requester", "backend", "mark"),
    "seen": ("key",),
    "tokens": ("person",),
    "words": ("commitment",),
}


def upgrade() -> None:
    op.create_table('moved',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', Moment(), nullable=False),
    sa.Column('events', sa.BigInteger(), nullable=False),
    sa.Column('root', sa.LargeBinary(), nullable=False),
    sa.Column('to', sa.Text(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_moved_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_moved')),
    comment='Where this history was copied to: it grows there alone, and nothing is served here.'
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in LINES.items():
        for column in columns:
            op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" TYPE text')
    op.execute("ALTER TABLE words ALTER COLUMN text TYPE bytea USING convert_to(text, 'UTF8')")
    # Numbers of checkpoints are given under the lock of the head row, like those of events.
    op.execute("ALTER TABLE checkpoints ALTER COLUMN id DROP DEFAULT")
    op.execute("DROP SEQUENCE checkpoints_id_seq")
    for table in HISTORY:
        # ALWAYS: also in a session that says it is a replica, where ordinary triggers are silent.
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
