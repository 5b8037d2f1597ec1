"""Assertions of the contract explain themselves like those of any test."""

import pytest

pytest.register_assert_rewrite("tests.backends.contract")
