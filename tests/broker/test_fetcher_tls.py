"""What a person may rely on when the guard connects by TLS, and looks up real names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from planner_app.broker.fetcher import WebFetcher, open_fetcher
from planner_app.broker.guard import GuardedBackend, ssl_context
from planner_app.broker.port import ToolFailed, ToolRefused
from tests.broker.loopback_web import (
    AnyPort,
    LoopbackSite,
    ScriptedResolver,
    anywhere,
    loopback_is_public,
    redirect,
    response,
)

CERTIFICATE = Path(__file__).with_name("site.test.pem")
MB = 2**20


@pytest.fixture
async def secure_site() -> AsyncIterator[LoopbackSite]:
    """A site that speaks TLS as site.test."""
    made = LoopbackSite()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def fetcher(resolver: ScriptedResolver) -> AsyncIterator[WebFetcher]:
    """A fetcher that trusts the site's certificate."""
    made = WebFetcher(
        GuardedBackend(resolver, blocked=loopback_is_public),
        allowed=AnyPort(),
        tls=ssl.create_default_context(cafile=str(CERTIFICATE)),
    )
    yield made
    await made.close()


def https(site: LoopbackSite, path: str, host: str = "site.test") -> str:
    return f"https://{host}:{site.port}{path}"


async def test_the_certificate_is_checked_against_the_name_not_the_address(
    secure_site: LoopbackSite, fetcher: WebFetcher
) -> None:
    secure_site.answers["/"] = response(b"secret garden")
    page = await fetcher.get(https(secure_site, "/"), anywhere, MB)
    assert page.content == b"secret garden"
    for host in ("other.test", "127.0.0.1"):
        with pytest.raises(ToolFailed, match="certificate") as caught:
            await fetcher.get(https(secure_site, "/", host), anywhere, MB)
        assert caught.value.kind == "network"


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure_site: LoopbackSite, resolver: ScriptedResolver
) -> None:
    fetcher = WebFetcher(GuardedBackend(resolver, blocked=loopback_is_public), allowed=AnyPort())
    with pytest.raises(ToolFailed, match="certificate"):
        await fetcher.get(https(secure_site, "/"), anywhere, MB)
    await fetcher.close()


async def test_a_redirect_never_leaves_https_for_http(
    secure_site: LoopbackSite, site: LoopbackSite, fetcher: WebFetcher
) -> None:
    secure_site.answers["/"] = redirect(site.url("/plain"))
    secure_site.answers["/up"] = response(b"up")
    site.answers["/plain"] = response(b"plain")
    site.answers["/"] = redirect(https(secure_site, "/up"))
    with pytest.raises(ToolRefused, match="from https to http"):
        await fetcher.get(https(secure_site, "/"), anywhere, MB)
    assert site.requests == []
    assert (await fetcher.get(site.url("/"), anywhere, MB)).content == b"up"


async def test_the_systems_own_names_for_this_machine_are_refused() -> None:
    fetcher = open_fetcher()
    with pytest.raises(ToolRefused, match="it leads to"):
        await fetcher.get("http://localhost/", anywhere, MB)
    await fetcher.close()


def test_all_fetchers_share_one_context() -> None:
    assert ssl_context() is ssl_context()
    assert ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert ssl_context().check_hostname
