"""`python -m harness.cli`: the program `rundrill`."""

from harness.cli.app import main

main()
