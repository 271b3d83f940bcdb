"""All URLs of the site: pages, REST under /api/v1/, and two for operators."""

from __future__ import annotations

from django.urls import include, path

from kb.api.views.meta import UnknownUrl
from kb.web import operate

handler400 = "kb.api.views.meta.bad_request"
handler500 = "kb.api.views.meta.failed"
urlpatterns = [
    path("healthz", operate.healthz, name="healthz"),
    path("metrics", operate.metrics, name="metrics"),
    path("api/v1", UnknownUrl.as_view()),
    path("api/v1/", include("kb.api.urls")),
    path("", include("kb.web.urls")),
]
