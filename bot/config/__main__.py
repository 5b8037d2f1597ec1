"""`python -m bot.config schema|reference` writes `breakglass.schema.json` or `docs/configuration.md`."""

import sys

from bot.config.reference import reference, schema

WRITERS = {"schema": schema, "reference": reference}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in WRITERS:
        sys.exit(f"usage: python -m bot.config {'|'.join(WRITERS)}")
    sys.stdout.write(WRITERS[sys.argv[1]]())
