"""``python -m crawler``, and the command ``crawler``.

It imports nothing before it is ready for Ctrl-C: what the command needs takes a while to import.
"""


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from .cli import main as command

        return command()
    except KeyboardInterrupt:  # before there is anything to finish, or after that
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
