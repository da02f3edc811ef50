"""`python -m console.cli` is `jcredit`."""

from console.cli import main

main()
