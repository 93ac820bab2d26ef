"""Streaming a file of a hub through network failures: retries, resumption and refusals."""

import threading
from pathlib import Path

import pytest

from seallm_edge import HubError
from seallm_edge.hub import Patience

FILE = "model.safetensors"
AT_FILE = f"SeaLLMs/tiny/{FILE}"  # the storage's part of the path
LOST = "and 3 more tries brought nothing"


def test_dropped_connections_go_on_from_the_very_byte(hub, opened, weights: bytes, told: list[str], whole) -> None:
    repository = opened()
    for n in (100_000, 0, 1, 50_000):
        hub.trouble(on=AT_FILE, drop_after=n)
    assert whole(repository) == weights
    assert hub.ranges() == [None, "bytes=100000-", "bytes=100000-", "bytes=100001-", "bytes=150001-"]
    assert hub.sent[FILE] == 300_000
    assert told == [
        f"the connection to {hub.cdn_host} was lost at {place} of 300.0 kB of {FILE}; again now"
        for place in ("100.0", "100.0", "100.0", "150.0")
    ]


def test_a_stall_ends_and_goes_on_from_the_very_byte(hub, opened, weights: bytes, told: list[str], whole) -> None:
    repository = opened(stall_seconds=0.2)
    hub.trouble(on=AT_FILE, stall_after=70_000)
    assert whole(repository) == weights
    assert hub.ranges() == [None, "bytes=70000-"]
    assert told == [f"nothing came from {hub.cdn_host} for 0.2 s at 70.0 of 300.0 kB of {FILE}; again now"]


def test_failures_in_a_row_are_limited(hub, opened, told: list[str], refusal) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=100_000)
    hub.trouble(on=AT_FILE, drop_after=0, times=99)
    assert refusal(repository) == f"the connection to {hub.cdn_host} was lost at 100.0 of 300.0 kB of {FILE}, {LOST}"
    assert (len(told), len(hub.ranges())) == (3, 4)


def test_failures_with_progress_between_them_are_not_limited(hub, opened, weights: bytes, whole) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=10_000, times=29)
    assert whole(repository) == weights
    assert (len(hub.ranges()), hub.sent[FILE]) == (30, 300_000)


def test_four_threads_read_at_once_each_its_own_stream(hub, opened, weights: bytes, whole) -> None:
    repository = opened(retries=50)
    for n in range(40):
        hub.trouble(on=AT_FILE, drop_after=n * 977)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(whole(repository))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [weights] * 4


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("place", ["/resolve/", "/cdn/"])
def test_a_busy_server_is_asked_again(
    hub, opened, weights: bytes, told: list[str], status: int, place: str, whole
) -> None:
    repository = opened()
    hub.trouble(on=place, status=status)
    assert whole(repository) == weights
    host = hub.cdn_host if place == "/cdn/" else hub.host
    assert told == [f"{host} answers with status {status} at 0.0 of 300.0 kB of {FILE}; again now"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0", 0.0),
        ("99999", 300.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 300.0),
        ("Wed, 21 Oct 2099 07:28:00", 300.0),
    ],
)
def test_a_server_may_ask_to_wait_for_minutes(
    hub, opened, monkeypatch, weights, value: str, seconds: float, whole
) -> None:
    waited: list[float] = []
    repository = opened()
    monkeypatch.setattr("seallm_edge.hub.patience.Stop.sleep", lambda _stop, n: waited.append(n))
    hub.trouble(on="/cdn/", status=429, headers={"Retry-After": value})
    assert whole(repository) == weights
    assert waited == [seconds]


@pytest.mark.parametrize("value", ["", "soon", "-3", "Wed, 99 Foo", "²"])
def test_a_wait_that_cannot_be_read_is_not_obeyed(hub, opened, weights: bytes, value: str, whole) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=503, headers={"Retry-After": value.encode().decode("latin-1")})
    assert whole(repository) == weights


def test_waits_double_up_to_the_longest(opened, hub, monkeypatch, told: list[str], refusal) -> None:
    waited: list[float] = []
    repository = opened(first_wait=4, longest_wait=30, retries=6)
    monkeypatch.setattr("seallm_edge.hub.patience.Stop.sleep", lambda _stop, n: waited.append(n))
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    hub.trouble(on="/cdn/", status=500, times=99)
    refusal(repository)
    assert waited == [4, 8, 16, 30, 30, 30]
    assert told[0] == f"{hub.cdn_host} answers with status 500 at 0.0 of 300.0 kB of {FILE}; again in 4 s"


@pytest.mark.parametrize("place", ["/resolve/", "/cdn/"])
def test_a_login_page_instead_of_the_file_is_told_as_such(hub, opened, place: str, whole) -> None:
    repository = opened()
    hub.trouble(on=place, status=200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome</html>")
    with pytest.raises(HubError) as caught:
        whole(repository)
    host = hub.cdn_host if place == "/cdn/" else hub.host
    assert caught.value.message == f"{host} sends a web page instead of {FILE}"
    assert str(caught.value.hint) == (
        "open a web page in a browser and log in to the network, then run the same command again"
    )


def test_a_network_that_asks_to_log_in_is_told_as_such(hub, opened, refusal) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=511)
    assert refusal(repository) == "the network asks to log in (status 511)"


def test_a_packed_answer_is_refused(hub, opened, refusal) -> None:
    repository = opened()
    hub.trouble(on="/cdn/", headers={"Content-Encoding": "gzip"})
    assert refusal(repository) == f"{hub.cdn_host} sends {FILE} packed as gzip, which was not asked for"


def test_a_server_that_knows_no_ranges_is_read_past_what_is_there(hub, opened, weights: bytes, whole) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=200_000)
    hub.trouble(on=AT_FILE, ignore_range=True)
    assert whole(repository) == weights
    assert hub.sent[FILE] == 500_000


@pytest.mark.parametrize("part", ["bytes 99999-299999/300000", "bytes 100001-299999/300000", "nonsense", ""])
def test_another_part_than_asked_for_is_not_taken(hub, opened, told: list[str], part: str, refusal) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=100_000)
    hub.trouble(on=AT_FILE, headers={"Content-Range": part}, times=99)
    problem = f"{hub.cdn_host} sends another part than it was asked for"
    assert refusal(repository) == f"{problem} at 100.0 of 300.0 kB of {FILE}, {LOST}"


@pytest.mark.parametrize(
    ("answers", "how"),
    [
        ([{"drop_after": 9}, {"headers": {"ETag": '"other"'}}], "its ETag is another"),
        ([{"headers": {"Content-Length": "5"}}], "it is 5 bytes now, and was 300000"),
        (
            [{"drop_after": 9}, {"headers": {"Content-Range": "bytes 9-299999/300001"}}],
            "it is 300001 bytes now, and was 300000",
        ),
        ([{"drop_after": 9}, {"status": 416}], "it is shorter now"),
    ],
    ids=["etag", "length", "total", "shorter"],
)
def test_a_file_that_changes_in_the_storage_is_refused_at_once(hub, opened, answers, how: str, refusal) -> None:
    repository = opened()
    for answer in answers:
        hub.trouble(on=AT_FILE, **answer)
    assert refusal(repository) == f"{FILE} of SeaLLMs/tiny changed while it was read: {how}"
    assert len(hub.ranges()) == len(answers)


@pytest.mark.parametrize(
    ("headers", "how"),
    [
        ({"X-Linked-Etag": f'"{"0" * 64}"'}, "its sha256 is another"),
        ({"X-Linked-Size": "7"}, "it is 7 bytes now, and was 300000"),
    ],
    ids=["sha256", "size"],
)
def test_a_file_that_changes_on_the_hub_is_refused_at_once(
    hub, opened, headers: dict[str, str], how: str, refusal
) -> None:
    repository = opened()
    hub.trouble(on=f"{repository.revision}/{FILE}", headers=headers)
    assert refusal(repository) == f"{FILE} of SeaLLMs/tiny changed while it was read: {how}"
    assert len(hub.ranges()) == 1


def test_a_weak_etag_may_change(hub, opened, weights: bytes, whole) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=9, headers={"ETag": 'W/"1"'})
    hub.trouble(on=AT_FILE, headers={"ETag": 'W/"2"'})
    assert whole(repository) == weights


def test_an_expired_link_is_replaced_by_a_new_one(hub, opened, weights: bytes, told: list[str], read_on) -> None:
    repository = opened()
    hub.trouble(on=AT_FILE, drop_after=100_000)
    with repository.stream(repository.files[FILE]) as stream:
        first = read_on(stream, 100_000)
        hub.expire_links()
        assert first + read_on(stream, 200_000) == weights
        stream.finish()
    assert hub.paths("cdn") == [f"/cdn/0/SeaLLMs/tiny/{FILE}", f"/cdn/1/SeaLLMs/tiny/{FILE}"]


def test_a_link_that_is_refused_is_asked_for_anew(hub, opened, weights: bytes, told: list[str], whole) -> None:
    repository = opened()
    hub.trouble(on="/cdn/", status=403)
    assert whole(repository) == weights
    problem = f"the link to {FILE} on {hub.cdn_host} is no longer good (status 403)"
    assert told == [f"{problem} at 0.0 of 300.0 kB of {FILE}; again now"]


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub, opened, monkeypatch: pytest.MonkeyPatch, whole) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    whole(opened())
    assert [(request.place, request.authorized) for request in hub.requests] == [
        ("hub", True),
        ("hub", True),
        ("cdn", False),
    ]


def test_five_redirects_are_followed_and_the_sixth_is_not(hub, opened, weights: bytes, whole, refusal) -> None:
    repository = opened()
    again = {"Location": f"/SeaLLMs/tiny/resolve/{repository.revision}/{FILE}"}
    hub.trouble(on="/resolve/", status=302, headers=again, times=4)
    assert whole(repository) == weights
    hub.trouble(on="/resolve/", status=302, headers=again, times=99)
    assert refusal(repository) == "127.0.0.1 redirects more than 5 times"


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_to_what_is_no_web_address_is_refused(hub, opened, location: str, refusal) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=302, headers={"Location": location})
    assert refusal(repository) == f"127.0.0.1 redirects to {location!r}"


@pytest.mark.parametrize("location", ["http://[", "https://a:b:c/", "http://\x00/"])
def test_a_redirect_to_no_address_at_all_is_refused(hub, opened, location: str, refusal) -> None:
    repository = opened(retries=0)
    hub.trouble(on="/resolve/", status=302, headers={"Location": location})
    refusal(repository)


def test_a_file_that_is_not_there_is_named_whatever_the_hub_says(hub, opened, refusal) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=404)
    assert refusal(repository) == f"SeaLLMs/tiny has no file {FILE} at {repository.revision}"


def test_a_file_that_was_removed_is_named(hub, opened, folder: Path, refusal) -> None:
    repository = opened()
    (folder / FILE).unlink()
    assert refusal(repository) == f"SeaLLMs/tiny has no file {FILE} at {repository.revision}"


def test_after_thousands_of_failures_the_wait_is_the_longest() -> None:
    assert 22.5 <= Patience(retries=5_000).wait_after(4_000, None) <= 30.0
