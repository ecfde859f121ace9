"""HTTP clients between services: the httpx API over aiohttp's transport, several times faster than httpx's own."""

from __future__ import annotations

import aiohttp
import httpx
from httpx_aiohttp import HttpxAiohttpClient


def http_client(base_url: str, *, timeout: float) -> httpx.AsyncClient:
    """An async context manager. `timeout`: seconds, for a call as a whole where the caller names none."""
    return HttpxAiohttpClient(
        base_url=base_url,
        timeout=timeout,
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=100, keepalive_expiry=60),
    )


def was_refused(error: httpx.HTTPError) -> bool:
    """Whether nobody listened, so that nothing was sent. (The transport calls that a timeout while connecting.)"""
    return isinstance(error, httpx.ConnectError) or isinstance(error.__cause__, aiohttp.ClientConnectorError)


def was_cut(error: httpx.HTTPError) -> bool:
    """Whether a connection ended under the call. (The transport calls that a timeout while connecting, too.)"""
    return isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError) or isinstance(
        error.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError
    )
