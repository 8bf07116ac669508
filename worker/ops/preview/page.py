"""The page about a quarter as one HTML file, which needs no other file or script."""

from collections.abc import Sequence
from datetime import datetime

from worker.domain.rollout import Rollout
from worker.i18n.language import Language
from worker.mail.templates import make_page_environment
from worker.ops.preview.quarter import QuarterPreview
from worker.ops.preview.sample_mails import SampleMail
from worker.ops.preview.view import QuarterView


def render_file(
    preview: QuarterPreview, samples: Sequence[SampleMail], language: Language, rollout: Rollout, made_at: datetime
) -> str:
    """Return the page as HTML that includes its style and the mails. `made_at`: when the calendars were read."""
    template = make_page_environment(language).get_template("quarter_file.html.j2")
    return template.render(view=QuarterView(preview, language, samples, rollout=rollout, made_at=made_at))
