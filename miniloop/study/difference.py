"""The first step at which two recordings of one program differ, and why.

Times differ in every run, and the numbers of tasks may. So a step is compared by what ran, and at
which line it continued. At the first step that differs the two chains of causes are compared: the
first cause that differs is the reason.
"""

from __future__ import annotations

from typing import Any

from miniloop.study.causes import Story, chain

__all__ = ["difference"]


def difference(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """In words, or None if all steps are the same."""
    first, second = Story(one), Story(other)
    rows = [_step(first, event) for event in first.steps]
    others = [_step(second, event) for event in second.steps]
    for index, (here, there) in enumerate(zip(rows, others, strict=False)):
        if here != there:
            return _explain(first, second, index)
    if len(rows) == len(others):
        return None
    longer, which = (first, "first") if len(rows) > len(others) else (second, "second")
    index = min(len(rows), len(others))
    what = longer.sentence(longer.steps[index])
    return (
        f"all {index} steps of the shorter recording are the same; "
        f"only the {which} goes on, with {what}"
    )


def _step(story: Story, event: int) -> tuple[str, str]:
    events = story.model["events"]
    return story.thing(events["thing"][event]), story.line(events["place"][event])


def _explain(first: Story, second: Story, index: int) -> str:
    lines = [f"the first {index} steps are the same, then they part:"]
    stories = []
    for name, story in (("first", first), ("second", second)):
        sentences = story.why(story.first_step + index)
        stories.append((name, sentences))
        lines.append(f"  {name}: {sentences[0]}")
    lines.append("why:")
    for name, sentences in stories:
        lines.append(f"  {name}:")
        lines += [f"    because {sentence}" for sentence in sentences[1:]]
    cause = _first_other_cause(first, second, index)
    if cause:
        lines.append(cause)
    return "\n".join(lines)


def _first_other_cause(first: Story, second: Story, index: int) -> str:
    """Whether the same entry was ready in both, and ran earlier in one of them."""
    wanted = _step(second, second.steps[index])
    for later, event in enumerate(first.steps[index:], index):
        if _step(first, event) == wanted:
            return (
                f"what runs there in the second runs in the first as well, {later - index} "
                f"step{'s' if later - index > 1 else ''} later"
            )
    roots = [story.kind(chain(story.model, story.steps[index])[-1]) for story in (first, second)]
    if roots[0] != roots[1]:
        return f"behind the one is: {roots[0]}, behind the other: {roots[1]}"
    return ""
