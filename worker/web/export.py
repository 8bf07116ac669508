"""A person's download: everything stored about them, as indented JSON."""

import json
from collections.abc import Iterable

from flask import Response

from worker.domain.model import Pair, Person
from worker.ops.personal_data import collect_for_page, encode_value
from worker.web.site import current_site


def build_export(person: Person, pairs: Iterable[Pair], *, is_manager: bool) -> Response:
    """Return the JSON file about a person and their pairs. `is_manager`: whether the person is the pairs' manager."""
    site = current_site()
    export = collect_for_page(site.worker, person, pairs, is_manager=is_manager)
    text = json.dumps(export, indent=2, ensure_ascii=False, default=encode_value)
    response = Response(text + "\n", content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="longarc-{site.now():%Y-%m-%d}.json"'
    return response
