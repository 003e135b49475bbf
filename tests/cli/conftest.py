"""The fixture that the tests of the command line share."""

from tests.cli.running import ganvas as ganvas
