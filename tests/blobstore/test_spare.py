"""Memory that is used again, and never while somebody still looks at it."""

from appliance.blobstore.spare import Spare


def test_what_was_given_back_is_handed_out_again() -> None:
    spare = Spare()
    first = spare.take(100)
    spare.give_back(first)

    assert spare.take(100) is first
    assert spare.take(100) is not first


def test_what_somebody_looks_at_is_not_handed_out() -> None:
    spare = Spare()
    first = spare.take(100)
    view = memoryview(first)[10:20]
    spare.give_back(first)

    assert spare.take(100) is not first
    view.release()
    assert spare.take(100) is first
    assert len(first) == 100


def test_another_size_is_new_and_only_little_is_kept() -> None:
    spare = Spare()
    made = [spare.take(100) for _ in range(9)]
    for one in made:
        spare.give_back(one)
    spare.give_back(b"bytes cannot be written over")

    assert len(spare.take(99)) == 99
    again = [spare.take(100) for _ in range(9)]
    assert sum(any(one is old for old in made) for one in again) == 3
