"""Failed sign-ins cost their source time, and nobody else's more than a little."""

from appliance.http.slowdown import FREE, NAME_S, SOURCE_S, Slowdown, source_of

NOON = 43_200.0


def _failed(times: int, source: str = "198.51.100.7", name: str = "ann") -> Slowdown:
    slowdown = Slowdown()
    for _ in range(times):
        slowdown.fail(source, name, NOON)
    return slowdown


def test_who_mistypes_does_not_wait() -> None:
    assert _failed(FREE).wait_s("198.51.100.7", "ann", NOON) == 0


def test_each_further_failure_costs_more_up_to_a_limit() -> None:
    waits = [_failed(FREE + more).wait_s("198.51.100.7", "ann", NOON) for more in range(1, 12)]

    assert waits == sorted(waits)
    assert waits[0] > 0
    assert waits[-1] == SOURCE_S


def test_another_source_waits_a_little_for_the_attacked_name_and_not_at_all_for_another() -> None:
    slowdown = _failed(1000)

    assert slowdown.wait_s("203.0.113.9", "ann", NOON) == NAME_S
    assert slowdown.wait_s("203.0.113.9", "bob", NOON) == 0


def test_trying_many_names_is_slow_all_the_same() -> None:
    slowdown = Slowdown()
    for number in range(20):
        slowdown.fail("198.51.100.7", f"user {number}", NOON)

    assert slowdown.wait_s("198.51.100.7", "another", NOON) == SOURCE_S


def test_failures_are_forgotten() -> None:
    slowdown = _failed(10)

    assert slowdown.wait_s("198.51.100.7", "ann", NOON + 3600) == 0


def test_the_right_password_clears_its_source_and_not_the_name() -> None:
    slowdown = _failed(10)
    slowdown.succeed("198.51.100.7")

    assert slowdown.wait_s("198.51.100.7", "bob", NOON) == 0
    assert slowdown.wait_s("198.51.100.7", "ann", NOON) == NAME_S


def test_a_flood_of_sources_is_remembered_only_so_far() -> None:
    slowdown = Slowdown()
    for number in range(30_000):
        slowdown.fail(f"source {number}", f"name {number}", NOON)

    assert len(slowdown._sources) == len(slowdown._names) == 10_000  # noqa: SLF001 - the bound is the promise


def test_one_host_is_one_source_whatever_address_it_takes() -> None:
    assert source_of("2001:db8:0:1::7") == source_of("2001:db8:0:1:ffff::9") != source_of("2001:db8:0:2::7")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")
    assert source_of("::ffff:198.51.100.7") == source_of("198.51.100.7") == "198.51.100.7"
    assert source_of("local") == "local"
