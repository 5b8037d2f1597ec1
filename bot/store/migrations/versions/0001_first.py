"""The first schema, and the triggers that make history append-only."""

import sqlalchemy as sa
from alembic import op

from bot.store.tables import Moment

revision = "0001"
down_revision = None

HISTORY = ("events", "checkpoints")


def upgrade() -> None:
    op.create_table('cards',
    sa.Column('request', sa.String(length=20), nullable=False),
    sa.Column('channel', sa.String(length=40), nullable=False),
    sa.Column('ts', sa.String(length=40), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('request', name=op.f('pk_cards')),
    comment='The one live message per request, and which version of the request it shows.'
    )
    op.create_table('checkpoints',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('root', sa.LargeBinary(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('at', Moment(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_checkpoints')),
    comment='Signed tree heads, in the order they were signed.'
    )
    op.create_table('cursors',
    sa.Column('stream', sa.String(length=40), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('stream', name=op.f('pk_cursors')),
    comment='How far each reader of the history has come: what is behind it is still to be told.'
    )
    op.create_table('events',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('at', Moment(), nullable=False),
    sa.Column('type', sa.String(length=60), nullable=False),
    sa.Column('request', sa.String(length=20), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('leaf', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_events')),
    comment='The history: `body` is the exact bytes that were hashed into `leaf`.'
    )
    op.create_index(op.f('ix_events_request'), 'events', ['request'], unique=False)
    op.create_table('factors',
    sa.Column('person', sa.String(length=40), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('last_step', sa.BigInteger(), server_default='-1', nullable=False),
    sa.Column('enrolled_at', Moment(), nullable=False),
    sa.PrimaryKeyConstraint('person', name=op.f('pk_factors')),
    comment='Second factors, encrypted. `last_step` makes a code work once.'
    )
    op.create_table('failures',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('person', sa.String(length=40), nullable=False),
    sa.Column('at', Moment(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_failures')),
    comment='Wrong codes, for the limit per person.'
    )
    op.create_index(op.f('ix_failures_person'), 'failures', ['person'], unique=False)
    op.create_table('handoffs',
    sa.Column('request', sa.String(length=20), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('request', name=op.f('pk_handoffs')),
    comment='One-time credentials, encrypted, until they are shown or the access ends.'
    )
    op.create_table('head',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('frontier', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_head_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_head')),
    comment='The right edge of the tree. Locked by every append, which makes seq gapless.'
    )
    op.create_table('installation',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=20), nullable=False),
    sa.Column('origin', sa.String(length=200), nullable=False),
    sa.Column('team', sa.String(length=40), server_default='', nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_installation_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_installation')),
    comment='Who we are: one row.'
    )
    op.create_table('posts',
    sa.Column('channel', sa.String(length=40), nullable=False),
    sa.Column('ts', sa.String(length=40), nullable=False),
    sa.Column('stream', sa.String(length=40), nullable=False),
    sa.Column('first', sa.BigInteger(), nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=10), server_default='there', nullable=False),
    sa.PrimaryKeyConstraint('channel', 'ts', name=op.f('pk_posts')),
    comment='Our messages in the audit channel and what they carry: how a deletion is noticed.'
    )
    op.create_index('ix_posts_stream_last', 'posts', ['stream', 'last'], unique=False)
    op.create_table('requests',
    sa.Column('id', sa.String(length=20), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('requester', sa.String(length=40), nullable=False),
    sa.Column('backend', sa.String(length=60), nullable=False),
    sa.Column('mark', sa.String(length=80), nullable=False),
    sa.Column('due_at', Moment(), nullable=True),
    sa.Column('opened_at', Moment(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_requests')),
    sa.UniqueConstraint('mark'),
    comment='Where each request stands: what its events add up to.'
    )
    op.create_index('ix_requests_due_at', 'requests', ['due_at'], unique=False)
    op.create_index(op.f('ix_requests_opened_at'), 'requests', ['opened_at'], unique=False)
    op.create_index(op.f('ix_requests_requester'), 'requests', ['requester'], unique=False)
    op.create_index(op.f('ix_requests_state'), 'requests', ['state'], unique=False)
    op.create_table('seen',
    sa.Column('key', sa.String(length=200), nullable=False),
    sa.Column('at', Moment(), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_seen')),
    comment='Interactions already acted on: the same one delivered again changes nothing.'
    )
    op.create_index(op.f('ix_seen_at'), 'seen', ['at'], unique=False)
    op.create_table('tokens',
    sa.Column('person', sa.String(length=40), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', Moment(), nullable=False),
    sa.PrimaryKeyConstraint('person', name=op.f('pk_tokens')),
    comment='Enrolment tokens that the operator issued, hashed; one per person.'
    )
    op.create_table('words',
    sa.Column('commitment', sa.String(length=64), nullable=False),
    sa.Column('salt', sa.LargeBinary(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('commitment', name=op.f('pk_words')),
    comment='What people typed. A row may be erased; the history keeps only the commitment.'
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in HISTORY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table}: history is append-only'); END"
                )
            # INSERT OR REPLACE deletes without the trigger above on a connection without recursive_triggers.
            key = "seq" if table == "events" else "id"
            op.execute(
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
                f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
                f"BEGIN SELECT RAISE(ABORT, '{table}: history is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%: history is append-only', TG_TABLE_NAME; END $$"
    )
    for table in HISTORY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only()"
        )
