"""`python -m ganvas`, and `torchrun -m ganvas` for several processes."""

from ganvas.cli.main import run

run()
