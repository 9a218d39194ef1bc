"""Prefect's command line with a server whose pages reach nothing but that server.

Prefect's new pages bring the client of an analytics service along and ask its address as soon as they open, whatever
`PREFECT_SERVER_ANALYTICS_ENABLED` says. A Content-Security-Policy lets the browser refuse it, and every other address.

    python -m flows.private_prefect server start --host 127.0.0.1
"""

from __future__ import annotations

import runpy
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob: ws://127.0.0.1:* http://127.0.0.1:*; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'self'"
)
Message = MutableMapping[str, Any]


class WithPolicy:
    """An ASGI application whose answers carry the policy; all else passes through (`state`, `openapi`, ...)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer one request."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message.get("headers", ()), named]}
            await send(message)

        await self._app(scope, receive, send_with_policy)


def main() -> None:
    """Run Prefect's command line on the server's application with the policy around it."""
    from prefect.server.api import server

    create = server.create_app
    server.create_app = lambda *args, **kwargs: WithPolicy(create(*args, **kwargs))  # type: ignore[assignment]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
