"""The one command for people: `jcredit`. A module a noun; each has a `register(app)` that adds its commands.

Results go to stdout, messages to stderr. Exit codes: 0 done; 1 the answer is no; 2 bad input or usage; 3 a service is not there.
"""

from importlib import import_module

import typer

from console.cli.trouble import report_trouble

NOUNS = ("stack", "demo", "enrol", "factors", "person", "claim", "issuance", "ledger", "intervals", "detect", "rebuild", "token", "run")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", help=(__doc__ or "").split("\n")[0])
for noun in NOUNS:
    import_module(f"console.cli.{noun}").register(app)


def main() -> None:
    """Run the command; say what went wrong in one sentence, and exit with the code that the contract gives it."""
    with report_trouble():
        app()
