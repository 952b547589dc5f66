"""What a person may rely on when a tool fetches: never inside, never for ever, never too much."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from planner_app.broker.addresses import AllowedHosts, blocked_reason
from planner_app.broker.fetcher import FetchLimits, WebFetcher
from planner_app.broker.guard import GuardedBackend
from planner_app.broker.port import ToolFailed, ToolRefused
from tests.broker.loopback_web import (
    AnyPort,
    LoopbackSite,
    MakeFetcher,
    ScriptedResolver,
    anywhere,
    loopback_is_public,
    redirect,
    response,
)

MB = 2**20


def gzipped(data: bytes, level: int = 9) -> bytes:
    """The same bytes in every process that collects these tests: gzip writes the time into them."""
    return gzip.compress(data, level, mtime=0)


async def test_a_page_comes_with_its_type_and_final_address(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    site.answers["/a?b=c"] = response(b"hello", content_type="text/html; charset=utf-8")
    page = await make_fetcher().get(site.url("/a?b=c#part"), anywhere, MB)
    assert page.content == b"hello"
    assert page.content_type == "text/html; charset=utf-8"
    assert page.url == site.url("/a?b=c")
    assert not page.truncated


async def test_a_request_says_who_asks_and_carries_nothing_else(
    site: LoopbackSite, make_fetcher: MakeFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site.answers["/1"] = response(b"", "302 Found", location="/2", set_cookie="id=secret; Path=/")
    site.answers["/2"] = response(b"ok")
    await make_fetcher().get(site.url("/1"), anywhere, MB)
    assert site.paths == ["/1", "/2"]
    for head in site.requests:
        assert "User-Agent: planner-app/" in head
        assert f"Host: site.test:{site.port}" in head
        assert "cookie" not in head.lower()
        assert "authorization" not in head.lower()
        assert "referer" not in head.lower()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
    ],
)
async def test_a_name_that_leads_inside_is_refused_and_nothing_is_sent(
    site: LoopbackSite, resolver: ScriptedResolver, make_fetcher: MakeFetcher, address: str
) -> None:
    resolver.names["evil.test"] = [address]
    fetcher = make_fetcher(blocked=blocked_reason)
    with pytest.raises(ToolRefused, match="it leads to") as caught:
        await fetcher.get(site.url("/", "evil.test"), anywhere, MB)
    assert caught.value.kind == "address"
    assert site.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:7f00:1]", "169.254.169.254"])
async def test_an_address_in_the_url_is_judged_like_any_other(
    site: LoopbackSite, make_fetcher: MakeFetcher, host: str
) -> None:
    with pytest.raises(ToolRefused):
        await make_fetcher(blocked=blocked_reason).get(site.url("/", host), anywhere, MB)
    assert site.requests == []


async def test_one_private_address_among_public_ones_refuses_the_name(
    site: LoopbackSite, resolver: ScriptedResolver, make_fetcher: MakeFetcher
) -> None:
    resolver.names["mixed.test"] = ["127.0.0.1", "10.0.0.1"]
    with pytest.raises(ToolRefused, match=r"10\.0\.0\.1"):
        await make_fetcher().get(site.url("/", "mixed.test"), anywhere, MB)
    assert site.requests == []


async def test_a_name_is_looked_up_once_so_a_second_answer_changes_nothing(
    site: LoopbackSite, make_fetcher: MakeFetcher, resolver: ScriptedResolver
) -> None:
    site.answers["/"] = response(b"ok")
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    class Rebinding(ScriptedResolver):
        async def __call__(self, host: str, port: int) -> list[str]:
            self.asked.append(host)
            return next(answers)

    rebinding = Rebinding()
    backend = GuardedBackend(rebinding, blocked=loopback_is_public)
    fetcher = WebFetcher(backend, allowed=AnyPort())
    assert (await fetcher.get(site.url("/", "evil.test"), anywhere, MB)).content == b"ok"
    assert rebinding.asked == ["evil.test"]
    with pytest.raises(ToolRefused, match=r"169\.254"):
        await fetcher.get(site.url("/", "evil.test"), anywhere, MB)
    assert len(site.requests) == 1
    await fetcher.close()


async def test_the_peer_is_looked_at_again_after_the_connection(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    site.answers["/"] = response(b"ok")
    verdicts = iter([None, "changed in between"])
    fetcher = make_fetcher(blocked=lambda address: next(verdicts))
    with pytest.raises(ToolRefused, match="changed in between"):
        await fetcher.get(site.url("/"), anywhere, MB)
    assert site.requests == []


async def test_only_a_host_that_a_person_allowed_may_be_inside(
    site: LoopbackSite, resolver: ScriptedResolver
) -> None:
    site.answers["/"] = response(b"intranet")
    resolver.names["wiki.corp"] = ["127.0.0.1"]
    allowed = AllowedHosts.parse((f"wiki.corp:{site.port}",))
    fetcher = WebFetcher(GuardedBackend(resolver, allowed), allowed=allowed)
    assert (await fetcher.get(site.url("/", "wiki.corp"), anywhere, MB)).content == b"intranet"
    with pytest.raises(ToolRefused, match="not one of the web's"):
        await fetcher.get(site.url("/", "site.test"), anywhere, MB)
    await fetcher.close()


async def test_a_redirect_inside_is_refused(site: LoopbackSite, make_fetcher: MakeFetcher) -> None:
    site.answers["/"] = redirect("http://169.254.169.254/latest/meta-data")
    with pytest.raises(ToolRefused, match=r"169\.254"):
        await make_fetcher().get(site.url("/"), anywhere, MB)


@pytest.mark.parametrize(
    "target", ["ftp://site.test/", "file:///etc/passwd", "http://user@site.test/", "http://a b/"]
)
async def test_a_redirect_to_what_is_no_web_address_is_refused(
    site: LoopbackSite, make_fetcher: MakeFetcher, target: str
) -> None:
    site.answers["/"] = redirect(target)
    with pytest.raises(ToolRefused):
        await make_fetcher().get(site.url("/"), anywhere, MB)


async def test_every_hop_is_asked_of_the_policy(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    site.answers["/1"] = redirect("/2", "301 Moved Permanently")
    site.answers["/2"] = redirect(site.url("/3", "other.test"), "307 Temporary Redirect")
    site.answers["/3"] = response(b"end")
    hops: list[str] = []

    async def allow(url: str) -> None:
        hops.append(url)
        if "other.test" in url:
            raise ToolRefused("policy", "not there")

    with pytest.raises(ToolRefused, match="not there"):
        await make_fetcher().get(site.url("/1"), allow, MB)
    assert hops == [site.url("/1"), site.url("/2"), site.url("/3", "other.test")]
    assert site.paths == ["/1", "/2"]


async def test_redirects_end_after_five(site: LoopbackSite, make_fetcher: MakeFetcher) -> None:
    for n in range(10):
        site.answers[f"/{n}"] = redirect(f"/{n + 1}")
    site.answers["/5"] = response(b"fifth")
    assert (await make_fetcher().get(site.url("/0"), anywhere, MB)).content == b"fifth"
    site.answers["/5"] = redirect("/6")
    with pytest.raises(ToolFailed, match="more than 5 times"):
        await make_fetcher().get(site.url("/0"), anywhere, MB)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzipped(b"hello " * 100)),
        ("x-gzip", gzipped(b"hello " * 50) + gzipped(b"hello " * 50)),
        ("deflate", zlib.compress(b"hello " * 100)),
        ("deflate", zlib.compress(b"hello " * 100)[2:-4]),
        ("identity", b"hello " * 100),
    ],
)
async def test_compressed_pages_are_unpacked(
    site: LoopbackSite, make_fetcher: MakeFetcher, encoding: str, body: bytes
) -> None:
    site.answers["/"] = response(body, content_encoding=encoding)
    page = await make_fetcher().get(site.url("/"), anywhere, MB)
    assert page.content == b"hello " * 100
    assert not page.truncated


async def test_a_bomb_is_cut_at_the_bound(site: LoopbackSite, make_fetcher: MakeFetcher) -> None:
    bomb = gzipped(bytes(200 * MB))
    assert len(bomb) < MB
    site.answers["/"] = response(bomb, content_encoding="gzip")
    page = await make_fetcher().get(site.url("/"), anywhere, MB)
    assert page.truncated
    assert len(page.content) == MB


@pytest.mark.parametrize(
    ("encoding", "body", "says"),
    [
        ("br", b"x", "nobody asked for"),
        ("gzip, gzip", gzipped(gzipped(b"x")), "nobody asked for"),
        ("gzip", b"this is not gzip", "broken compression"),
        ("gzip", gzipped(b"") * 300, "too many gzip members"),
    ],
)
async def test_an_encoding_that_cannot_be_undone_is_an_error(
    site: LoopbackSite, make_fetcher: MakeFetcher, encoding: str, body: bytes, says: str
) -> None:
    site.answers["/"] = response(body, content_encoding=encoding)
    with pytest.raises(ToolFailed, match=says):
        await make_fetcher().get(site.url("/"), anywhere, MB)


async def test_a_body_without_end_is_cut_at_the_bound(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(response(length=False, content_type="text/plain"))
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    site.answers["/"] = endless
    page = await make_fetcher().get(site.url("/"), anywhere, MB)
    assert page.truncated
    assert len(page.content) == MB


async def test_a_slow_drip_ends_at_the_total_time(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    dripped = 0

    async def drip(writer: asyncio.StreamWriter) -> None:
        nonlocal dripped
        writer.write(response(length=False))
        while True:
            writer.write(b"x")
            dripped += 1
            await writer.drain()
            await asyncio.sleep(0.01)

    site.answers["/"] = drip
    fetcher = make_fetcher(limits=FetchLimits(total_s=0.3, idle_s=0.2))
    with pytest.raises(ToolFailed, match="did not answer in time") as caught:
        await fetcher.get(site.url("/"), anywhere, MB)
    assert (caught.value.kind, caught.value.retryable) == ("timeout", True)
    assert dripped > 1


async def test_the_time_is_shared_by_all_redirects(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.15)
        writer.write(redirect("/"))

    site.answers["/"] = late
    with pytest.raises(ToolFailed, match="did not answer in time"):
        await make_fetcher(limits=FetchLimits(total_s=0.4)).get(site.url("/"), anywhere, MB)
    assert 2 <= len(site.requests) <= 4


async def test_time_for_a_persons_answer_is_not_counted(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    site.answers["/"] = response(b"ok")

    async def thinks(url: str) -> None:
        await asyncio.sleep(0.3)

    fetcher = make_fetcher(limits=FetchLimits(total_s=0.2))
    assert (await fetcher.get(site.url("/"), thinks, MB)).content == b"ok"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [("404 Not Found", False), ("403 Forbidden", False), ("429 Too Many Requests", True),
     ("503 Service Unavailable", True), ("304 Not Modified", False), ("302 Found", False)],
)  # fmt: skip
async def test_an_error_status_is_an_error_and_not_a_page(
    site: LoopbackSite, make_fetcher: MakeFetcher, status: str, retryable: bool
) -> None:
    site.answers["/"] = response(b"sorry", status, retry_after="7")
    with pytest.raises(ToolFailed, match=status) as caught:
        await make_fetcher().get(site.url("/"), anywhere, MB)
    assert caught.value.kind == "http"
    assert caught.value.retryable == retryable
    assert "wait 7" in str(caught.value)


async def test_a_name_that_does_not_exist_and_a_closed_port_are_network_errors(
    site: LoopbackSite, make_fetcher: MakeFetcher, unused_tcp_port: int
) -> None:
    with pytest.raises(ToolFailed, match=r"cannot look up none\.test") as caught:
        await make_fetcher().get("http://none.test/", anywhere, MB)
    assert caught.value.kind == "network"
    with pytest.raises(ToolFailed) as caught:
        await make_fetcher().get(f"http://site.test:{unused_tcp_port}/", anywhere, MB)
    assert caught.value.kind == "network"


@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 500_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_a_server_that_breaks_the_protocol_is_a_network_error(
    site: LoopbackSite, make_fetcher: MakeFetcher, answer: bytes
) -> None:
    site.answers["/"] = answer
    with pytest.raises(ToolFailed) as caught:
        await make_fetcher().get(site.url("/"), anywhere, MB)
    assert caught.value.kind == "network"


async def test_a_cancelled_fetch_lets_go_of_the_connection(
    site: LoopbackSite, make_fetcher: MakeFetcher
) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        started.set()
        writer.write(response(length=False))
        try:
            while True:
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    site.answers["/"] = hang
    task = asyncio.create_task(make_fetcher().get(site.url("/"), anywhere, 100 * MB))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        await gone.wait()
