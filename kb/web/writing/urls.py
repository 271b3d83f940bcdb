"""URLs for writing, reviewing and publishing. Their names are in the namespace `web`."""

from __future__ import annotations

from django.urls import path

from kb.web.writing import editor, history, links, publishing, review, rows, timeline, upkeep

_INCIDENT = "incidents/<str:reference>"
_EDIT = f"{_INCIDENT}/edit"

urlpatterns = [
    path("incidents/new", editor.new, name="new"),
    path(_EDIT, editor.edit, name="edit"),
    path(f"{_EDIT}/facts", editor.save_facts, name="save-facts"),
    path(f"{_EDIT}/sections/<slug:key>", editor.save_section, name="save-section"),
    path(f"{_EDIT}/preview", editor.preview_markdown, name="preview-markdown"),
    path(f"{_EDIT}/timeline/paste", timeline.read_paste, name="paste-timeline"),
    path(f"{_EDIT}/timeline/paste/save", timeline.save_paste, name="save-paste"),
    path(f"{_EDIT}/links", links.add, name="add-link"),
    path(f"{_EDIT}/links/<uuid:link_id>/remove", links.remove, name="remove-link"),
    path(f"{_EDIT}/rows/<slug:kind>", rows.add, name="add-row"),
    path(f"{_EDIT}/rows/<slug:kind>/back", rows.put_back, name="put-back-row"),
    path(f"{_EDIT}/rows/<slug:kind>/<uuid:row_id>", rows.save, name="save-row"),
    path(f"{_EDIT}/rows/<slug:kind>/<uuid:row_id>/move", rows.move, name="move-row"),
    path(f"{_EDIT}/rows/<slug:kind>/<uuid:row_id>/remove", rows.remove, name="remove-row"),
    path(f"{_INCIDENT}/review", review.review, name="review"),
    path(f"{_INCIDENT}/review/ask", review.submit, name="submit"),
    path(f"{_INCIDENT}/review/withdraw", review.withdraw, name="withdraw"),
    path(f"{_INCIDENT}/review/decide", review.decide, name="decide"),
    path(f"{_INCIDENT}/publish", publishing.publish, name="publish"),
    path(f"{_INCIDENT}/publish/now", publishing.publish_now, name="publish-now"),
    path(f"{_INCIDENT}/reopen", publishing.reopen, name="reopen"),
    path(f"{_INCIDENT}/archive", publishing.archive, name="archive"),
    path(f"{_INCIDENT}/restore", publishing.restore, name="restore"),
    path(f"{_INCIDENT}/delete", publishing.delete, name="delete"),
    path(f"{_INCIDENT}/delete/now", publishing.delete_now, name="delete-now"),
    path(f"{_INCIDENT}/upkeep", upkeep.upkeep, name="upkeep"),
    path(f"{_INCIDENT}/upkeep/save", upkeep.save, name="save-upkeep"),
    path(f"{_INCIDENT}/history", history.history, name="history"),
    path(f"{_INCIDENT}/history/compare", history.compare, name="compare"),
]
