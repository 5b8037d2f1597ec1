"""Assertions of the contract explain themselves like those of any test; providers are there on demand."""

import pytest

from tests.providers.fixtures import account, cluster, keygen_here, own_cluster, sshd_here

pytest.register_assert_rewrite("tests.backends.contract")

__all__ = ["account", "cluster", "keygen_here", "own_cluster", "sshd_here"]
