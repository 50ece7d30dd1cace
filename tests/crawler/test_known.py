"""Each URL once, and as deep as the shortest way to it, in whatever order pages come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.frontier.known import Known

Graph = dict[str, list[str]]


def breadth_first(graph: Graph, roots: list[str], limit: int) -> dict[str, int]:
    depths = dict.fromkeys(roots, 0)
    level = list(depths)
    for depth in range(1, limit + 1):
        level = [link for url in level for link in graph.get(url, ())]
        level = [url for url in dict.fromkeys(level) if url not in depths]
        depths.update(dict.fromkeys(level, depth))
    return depths


def crawl(
    graph: Graph, roots: list[str], limit: int, choices: st.DataObject, redirects: set[str]
) -> tuple[list[str], dict[str, int]]:
    """What a crawl asks for, with pages that come in any order, and how deep each is in the end."""
    known = Known(limit)
    waiting: list[str] = []
    fetched: list[str] = []
    roots_left = list(roots)
    list_read = False
    while waiting or not list_read:
        place = choices.draw(st.integers(-1, len(waiting) - 1))
        if place < 0:
            if roots_left:
                root = roots_left.pop()
                if root not in known:
                    known.add(root, 0)
                    waiting.append(root)
                else:
                    reach(known, waiting, root, 0)
            elif not list_read:
                known.no_more_begins()
                list_read = True
            continue
        url = waiting.pop(place)
        fetched.append(url)
        links = graph.get(url, [])
        is_redirect = url in redirects
        known.close(url, links, redirect=is_redirect)
        depth = known.depth(url)
        for link in links:
            reach(known, waiting, link, depth + (not is_redirect))
        known.settle(url)
    return fetched, {url: known.depth(url) for url in fetched}


def reach(known: Known, waiting: list[str], link: str, depth: int) -> None:
    for url, at in known.nearer(link, depth):
        if url not in known and known.add(url, at):
            waiting.append(url)


NAMES = st.sampled_from("abcdefghijkl")


@settings(deadline=None, max_examples=500)
@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True)),
    st.lists(NAMES, min_size=1, max_size=3),
    st.integers(0, 5),
    st.data(),
)
def test_the_same_pages_are_found_as_by_going_level_by_level(
    graph: Graph, roots: list[str], limit: int, choices: st.DataObject
) -> None:
    fetched, depths = crawl(graph, roots, limit, choices, set())
    assert len(fetched) == len(set(fetched))
    assert depths == breadth_first(graph, roots, limit)


@settings(deadline=None, max_examples=500)
@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True)),
    st.lists(NAMES, min_size=1, max_size=2),
    st.integers(0, 4),
    st.sets(NAMES, max_size=3),
    st.data(),
)
def test_a_redirect_leads_to_a_page_as_deep_as_itself(
    graph: Graph, roots: list[str], limit: int, redirects: set[str], choices: st.DataObject
) -> None:
    for name in redirects:
        graph[name] = graph.get(name, [])[:1]
    fetched, depths = crawl(graph, roots, limit, choices, redirects)
    expected = dict.fromkeys(roots, 0)
    changed = True
    while changed:  # Bellman and Ford, as there are edges of length nothing
        changed = False
        for url, depth in list(expected.items()):
            for link in graph.get(url, ()):
                at = depth + (url not in redirects)
                if at <= limit and at < expected.get(link, limit + 1):
                    expected[link] = at
                    changed = True
    assert len(fetched) == len(set(fetched))
    assert depths == expected


def test_nothing_is_kept_that_can_no_longer_matter() -> None:
    known = Known(3)
    known.add("a", 0)
    known.no_more_begins()
    assert known.close("a", ["b"]) is None
    known.add("b", 1)
    known.add("slow", 1)
    known.settle("a")
    assert known.close("b", ["c"]) is None
    known.add("c", 2)
    known.settle("b")
    assert known.close("c", ["d"]) is not None  # as long as "slow" may redirect to it
    known.add("d", 3)
    known.settle("c")
    assert known.close("d", ["e"]) is not None
    known.settle("d")
    known.close("slow", [])
    known.settle("slow")
    assert not known._kept


@pytest.mark.timeout(30)
def test_levels_that_nothing_lies_on_cost_nothing() -> None:
    known = Known(10**15)
    known.add("root", 0)
    known.no_more_begins()
    known.close("root", [])
    known.settle("root")
    assert known.least == 10**15 + 1
