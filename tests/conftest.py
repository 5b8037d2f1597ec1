"""What every test shares: Hypothesis without a clock of its own (a loaded machine is no failed test)."""

from hypothesis import settings

settings.register_profile("breakglass", deadline=None, database=None, print_blob=True)
settings.load_profile("breakglass")
