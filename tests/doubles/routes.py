"""The option by which a double sends notifications for a public address to this machine, as a company's proxy does."""

import argparse


def add_routes(parser: argparse.ArgumentParser) -> None:
    """Add the option `--route` to the command of a double. Its value is a list of pairs of URLs, in `route`."""
    parser.add_argument(
        "--route",
        action="append",
        default=[],
        type=_parse_route,
        metavar="HTTPS=HTTP",
        help="where notifications to a public address really go: https://longarc.example=http://127.0.0.1:8030",
    )


def _parse_route(text: str) -> tuple[str, str]:
    """Return the public base URL and the base URL on this machine, without trailing slashes."""
    public, _, local = text.partition("=")
    if not public.startswith("https://") or not local.startswith("http://"):
        raise argparse.ArgumentTypeError(f"{text}: write https://ADDRESS=http://127.0.0.1:PORT")
    return public.rstrip("/"), local.rstrip("/")
