"""Saved searches: on the search page and the start page, visible only to their owner."""

from __future__ import annotations

import pytest
from django.db import transaction

from incidents.errors import Invalid, NotAllowed
from incidents.models import AuditEntry
from incidents.scopes import ANONYMOUS
from kb.search import saved
from kb.search.models import SavedSearch
from kb.search.saved import forget_search, query_string, save_search
from kb.search.service import BadRequest, SearchRequest
from tests.conftest import in_another_connection
from tests.web.conftest import parsed

RETRIES = "/search?q=retries+overload&pattern=retry-storm&pattern=cold-start&sort=newest"


def summaries(page):
    return [element.text for element in page.all("summary")]


def links_of(page, text):
    return [element.attributes["href"] for element in page.all("a") if element.text == text]


def save(client, search, name):
    return client.post(search, {"name": name}, follow=True)


def name_in(page):
    (field,) = [element for element in page.all("input") if element.attributes.get("id") == "save-name"]
    return field.attributes.get("value", "")


def form_to(page, end):
    (form,) = [form for form in page.all("form") if form.attributes["action"].endswith(end)]
    return form.attributes["action"]


def test_a_search_is_saved_found_again_and_removed(cast, browser):
    author = browser("author")
    page = parsed(author.get(RETRIES))
    assert "Save this search" in summaries(page)
    assert name_in(page) == "retries overload"

    page = parsed(save(author, RETRIES, "Retries"))
    assert "Saved as Retries." in page.text
    assert "Save this search" not in summaries(page)
    (address,) = links_of(page, "Retries")
    assert links_of(parsed(author.get("/")), "Retries") == [address]
    # The same search with its parameters in another order.
    assert address == "/search?q=retries+overload&pattern=cold-start&pattern=retry-storm&sort=newest"
    again = parsed(author.get(address))
    chosen = [element.attributes["value"] for element in again.all("input") if "checked" in element.attributes]
    assert sorted(chosen) == ["cold-start", "retry-storm"]
    current = [element.text for element in again.all("a") if element.attributes.get("aria-current") == "page"]
    assert "Retries" in current

    page = parsed(author.post(form_to(again, "/forget"), follow=True))
    assert "Removed Retries from your saved searches." in page.text
    assert "Save this search" in summaries(page)
    assert links_of(parsed(author.get("/")), "Retries") == []
    assert list(AuditEntry.objects.filter(object_type="savedsearch").values_list("action", "change")) == [
        ("search.forgotten", {"name": "Retries"}),
        ("search.saved", {"name": "Retries"}),
    ]


def test_a_saved_search_is_visible_only_to_its_owner(cast, browser):
    save(browser("author"), RETRIES, "zyzzyva")
    for name in cast.NAMES:
        for address in ("/", "/search", RETRIES, "/incidents"):
            assert ("zyzzyva" in browser(name).get(address).content.decode()) == (name == "author"), (name, address)


@pytest.mark.parametrize("address", ["/search", "/search?sort=newest", "/incidents", "/search?q=++"])
def test_a_search_without_conditions_is_not_offered_for_saving(cast, browser, address):
    assert "Save this search" not in summaries(parsed(browser("author").get(address)))


def test_strangers_are_not_offered_to_save_a_search(cast, browser):
    assert "Save this search" not in summaries(parsed(browser("anonymous").get(RETRIES)))


def test_a_search_saved_from_the_list_of_incidents_keeps_its_order(cast, browser):
    page = parsed(browser("author").get("/incidents?q=cache"))
    assert form_to(page, "?q=cache&sort=newest") == "/search?q=cache&sort=newest"


@pytest.mark.parametrize(
    ("search", "name", "words"),
    [
        (RETRIES, "", "Enter a name."),
        (RETRIES, "n" * 81, "at most 80 characters"),
        (RETRIES, "a\x00b", "Null characters are not allowed."),
        (RETRIES, "QUEUES", "You already have a different search named Queues."),
        ("/search", "All", "This search matches everything."),
        (f"/search?q={'w' * 8_000}", "Long", "This search is too long to save."),
    ],
)
def test_a_rejected_name_is_shown_again_with_its_error(cast, browser, search, name, words):
    author = browser("author")
    save(author, "/search?q=queue", "Queues")
    response = save(author, search, name)
    assert response.status_code == 400
    page = parsed(response)
    assert words in page.text
    (shown,) = [one for one in page.all("details") if one.attributes.get("class", "").startswith("save ")]
    assert "open" in shown.attributes
    assert name_in(page) == name
    # The rest of the page still shows the search.
    (filters,) = [form for form in page.all("form") if form.attributes.get("id") == "filters"]
    assert filters.attributes["action"] == "/search"
    assert SavedSearch.objects.count() == 1


def test_the_suggested_name_is_free_and_short_enough(cast, browser):
    author = browser("author")
    save(author, "/search?q=Cache", "cache")
    assert name_in(parsed(author.get("/search?q=cache&severity=sev1"))) == ""
    assert name_in(parsed(author.get(f"/search?q={'word+' * 40}"))) == ("word " * 16).strip()


def test_a_search_that_is_too_long_is_not_offered_for_saving(cast, browser):
    assert "Save this search" not in summaries(parsed(browser("author").get(f"/search?q={'w' * 8_000}")))


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("/incidents?q=queue", "/incidents?q=queue"),
        ("/", "/"),
        ("", "/search?q=cache&sort=relevance"),
        ("https://evil.example/", "/search?q=cache&sort=relevance"),
        ("//evil.example/", "/search?q=cache&sort=relevance"),
        ("/search?q=" + "w" * 20_000, "/search?q=cache&sort=relevance"),
    ],
)
def test_removing_redirects_back_to_the_same_page_and_never_off_site(cast, browser, back, leads_to):
    kept = save_search(actor=cast.viewer("author"), name="Caches", request=SearchRequest(q="cache"))
    response = browser("author").post(f"/search/saved/{kept.uuid}/forget", {"back": back})
    assert response.headers["Location"] == leads_to


def test_an_invalid_search_is_not_saved(cast, browser):
    response = save(browser("author"), "/search?q=cache&severity=sev9", "Nine")
    assert response.status_code == 400
    assert "This search cannot be run" in parsed(response).text
    with pytest.raises(BadRequest):
        save_search(actor=cast.viewer("author"), name="Nine", request=SearchRequest(filters={"severity": ["sev9"]}))
    assert not SavedSearch.objects.exists()


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_removals_succeeds(cast):
    author = cast.viewer("author")
    kept = save_search(actor=author, name="Caches", request=SearchRequest(q="cache"))
    with transaction.atomic():
        forget_search(actor=author, saved_id=kept.uuid)
        (waited,) = in_another_connection(lambda: forget_search(actor=author, saved_id=kept.uuid))
    assert "lock timeout" in str(waited)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_concurrent_saves_by_one_user_are_serialized(cast):
    def another():
        save_search(actor=cast.viewer("author"), name="Queues", request=SearchRequest(q="queue"))

    with transaction.atomic():
        save_search(actor=cast.viewer("author"), name="Caches", request=SearchRequest(q="cache"))
        (waited,) = in_another_connection(another)
    assert "lock timeout" in str(waited)


def test_saving_twice_saves_once(cast):
    author, asked = cast.viewer("author"), SearchRequest(q="cache")
    first = save_search(actor=author, name="Caches", request=asked)
    assert save_search(actor=author, name=" caches ", request=asked).pk == first.pk
    assert AuditEntry.objects.filter(action="search.saved").count() == 1


def test_long_lists_are_behind_more(cast, browser):
    for number in range(7):
        save_search(actor=cast.viewer("author"), name=f"Search {number}", request=SearchRequest(q=f"w{number}"))
    for address in ("/", "/search"):
        page = parsed(browser("author").get(address))
        assert "2 more" in summaries(page)
        inside = {n: "details" in e.inside[-3:] for n in range(7) for e in page.all("a") if e.text == f"Search {n}"}
        assert inside == {n: n >= 5 for n in range(7)}


def test_two_users_can_use_the_same_name(cast):
    for name in ("author", "lead"):
        save_search(actor=cast.viewer(name), name="Caches", request=SearchRequest(q=name))
    assert SavedSearch.objects.count() == 2


def test_the_number_of_saved_searches_is_limited_and_strangers_cannot_save(cast, monkeypatch):
    monkeypatch.setattr(saved, "PER_PERSON", 1)
    author = cast.viewer("author")
    save_search(actor=author, name="One", request=SearchRequest(q="one"))
    with pytest.raises(Invalid, match="You can save at most 1 searches"):
        save_search(actor=author, name="Two", request=SearchRequest(q="two"))
    with pytest.raises(NotAllowed):
        save_search(actor=ANONYMOUS, name="Two", request=SearchRequest(q="two"))


def test_the_cursor_is_not_part_of_a_saved_search():
    assert query_string(SearchRequest(q=" cache ", cursor="abc")) == "q=cache&sort=relevance"


@pytest.mark.postgres_only
def test_names_compare_the_same_on_every_database(cast):
    """Lowercase ß has a capital form ẞ, but uppercasing a word turns it into SS instead."""
    author, asked = cast.viewer("author"), SearchRequest(q="cache")
    first = save_search(actor=author, name="Große", request=asked)
    assert save_search(actor=author, name="GROẞE", request=asked).pk == first.pk
