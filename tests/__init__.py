"""Tests mirror the packages of `worker`; what they share is in `support`, stand-ins for services in `doubles`."""

import pytest

pytest.register_assert_rewrite("tests.support")
