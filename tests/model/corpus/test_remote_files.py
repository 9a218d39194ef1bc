"""Remote texts arrive whole, once, and of one version, however often the other side breaks off."""

import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.corpus import download, http_transfer
from model.corpus.documents import read_documents
from model.corpus.remote_files import remote_files
from model.corpus.sources import IngestConfig, UrlSource
from model.errors import ConfigError, CorpusError
from tasks.ingest import ingest
from tasks.journal import NullJournal
from tasks.params import parse_params

pytestmark = pytest.mark.feature("CORP-01")

TEXT = "".join(f"Line {i} of a text that comes from far away.\n" for i in range(40_000)).encode()  # 1.8 MB


class Shop(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; each answer ends after `server.breaks_after` bytes, `server.healthy_after` requests."""

    protocol_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        server = self.server
        server.requests.append((self.command, self.path, self.headers.get("Range")))
        if self.path in server.moved:
            self.send_response(302)
            self.send_header("Location", server.moved[self.path])
            self.end_headers()
            return
        data = server.files.get(self.path)
        if data is None or server.status:
            self.send_error(server.status or 404)
            return
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        start = 0
        asked = self.headers.get("Range")
        if asked and server.ranges and self.headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            rest = data[start:]
            self.wfile.write(rest[: server.breaks_after] if server.breaks_after is not None else rest)
            self.wfile.flush()
            server.silence.wait(0 if server.silence.is_set() else 20)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop(monkeypatch) -> Iterator[http.server.ThreadingHTTPServer]:
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(download, "LONGEST_PAUSE_S", 0.002)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.files, server.moved, server.requests = {"/far.txt": TEXT}, {}, []
    server.breaks_after, server.ranges, server.status = None, True, 0
    server.silence = threading.Event()  # while it is not set, answers never end
    server.silence.set()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.silence.set()
    server.shutdown()
    server.server_close()


def run(root: Path, url: str, **more) -> tuple:
    config = IngestConfig.model_validate({"sources": [{"url": url, **more}]})
    report = ingest(config, root / "raw", NullJournal(), root)
    return report, list(read_documents(root / "raw"))


def test_file_behind_an_address_becomes_documents_that_say_where_they_came_from(tmp_path, shop):
    _, (document,) = run(tmp_path, f"{shop.url}/far.txt")
    assert document.id == "far/far.txt"
    assert document.text == TEXT.decode()
    about = json.loads(document.metadata)
    assert about == {"url": f"{shop.url}/far.txt", "sha256": hashlib.sha256(TEXT).hexdigest()}
    assert not (tmp_path / ".tisslm" / "downloads").exists()


def test_transfer_that_breaks_off_goes_on_where_it_stopped(tmp_path, shop):
    shop.breaks_after = 1_050_000
    shop.files["/far.txt"] = TEXT * 2
    _, documents = run(tmp_path, f"{shop.url}/far.txt")
    assert "".join(d.text for d in documents) == (TEXT * 2).decode()
    ranges = [asked for command, _, asked in shop.requests if command == "GET"]
    assert ranges == [None, *(f"bytes={n * 1_050_000}-" for n in (1, 2, 3))]


def test_server_without_ranges_is_asked_for_all_again(tmp_path, shop):
    shop.ranges = False
    shop.breaks_after = 1_100_000
    with pytest.raises(CorpusError, match="stopped answering after 1,100,000 of"):
        run(tmp_path, f"{shop.url}/far.txt")
    shop.breaks_after = None
    assert run(tmp_path, f"{shop.url}/far.txt")[1][0].text == TEXT.decode()


def test_server_that_stops_half_way_is_gone_on_with_in_the_next_run(tmp_path, shop):
    shop.breaks_after = 900_000  # less than a megabyte at a time is no progress
    shop.files["/far.txt"] = TEXT * 3
    with pytest.raises(CorpusError, match=r"after 4,500,000 of .* run the same command again") as error:
        run(tmp_path, f"{shop.url}/far.txt")
    assert "\n" not in str(error.value)
    shop.breaks_after = None
    shop.requests.clear()
    _, documents = run(tmp_path, f"{shop.url}/far.txt")
    assert "".join(d.text for d in documents) == (TEXT * 3).decode()
    assert [asked for command, _, asked in shop.requests if command == "GET"] == ["bytes=4500000-"]


def test_server_that_falls_silent_is_left_after_a_while(tmp_path, shop, monkeypatch):
    monkeypatch.setattr(http_transfer, "TIMEOUT_S", 0.3)
    shop.breaks_after = 200_000
    shop.silence.clear()
    started = time.monotonic()
    with pytest.raises(CorpusError, match=r"stopped answering after 1,000,000 of .*timed out"):
        run(tmp_path, f"{shop.url}/far.txt")
    assert time.monotonic() - started < 15
    shop.silence.set()
    shop.breaks_after = None
    assert run(tmp_path, f"{shop.url}/far.txt")[1][0].text == TEXT.decode()


def test_file_that_changed_in_between_is_not_mixed(tmp_path, shop):
    shop.breaks_after = 300_000
    with pytest.raises(CorpusError):
        run(tmp_path, f"{shop.url}/far.txt")
    shop.breaks_after = None
    shop.files["/far.txt"] = TEXT.replace(b"far", b"FAR")
    assert run(tmp_path, f"{shop.url}/far.txt")[1][0].text == TEXT.decode().replace("far", "FAR")


def test_redirect_to_another_address_is_refused_by_name(tmp_path, shop):
    shop.moved["/far.txt"] = "http://localhost:9/elsewhere.txt"
    with pytest.raises(CorpusError, match=r"redirects to http://localhost:9, an address that ingest.sources does not"):
        run(tmp_path, f"{shop.url}/far.txt")


def test_redirect_on_the_same_address_is_followed(tmp_path, shop):
    shop.moved["/old.txt"] = "/far.txt"
    assert run(tmp_path, f"{shop.url}/old.txt")[1][0].text == TEXT.decode()


def test_folder_is_listed_and_nothing_outside_it_is_asked(tmp_path, shop):
    shop.files = {
        "/texts/": b'<a href="../">up</a><a href="b.txt">b</a><a href="/texts/a.txt">a</a><a href="sub/">s</a>'
        b'<a href="http://127.0.0.1:1/x.txt">x</a><a href="?C=M">sort</a><a href="c.bin">c</a>',
        "/texts/sub/": b'<a href="../">up</a><a href="d.txt">d</a>',
        **{f"/texts/{name}": f"The text of {name}.".encode() for name in ("a.txt", "b.txt", "sub/d.txt")},
    }
    _, documents = run(tmp_path, f"{shop.url}/texts/", glob="**/*.txt")
    assert [d.id for d in documents] == ["texts/a.txt", "texts/b.txt", "texts/sub/d.txt"]
    assert {path for _, path, _ in shop.requests} == {
        "/texts/",
        "/texts/sub/",
        *(f"/texts/{n}" for n in ("a.txt", "b.txt", "sub/d.txt")),
    }


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_of_the_server_is_one_line(tmp_path, shop, status):
    shop.status = status
    with pytest.raises(CorpusError, match=f"HTTP {status}"):
        run(tmp_path, f"{shop.url}/far.txt")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1/x.txt", "cannot be reached"),
        ("nosuch://x/y", "expected http"),
        ("gs://bucket/x", "no library for gs:// is installed"),
    ],
)
def test_address_that_cannot_be_read_is_one_line(tmp_path, url, message):
    with pytest.raises(CorpusError, match=message) as error:
        list(remote_files(UrlSource(url=url), tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:secret@host/x", "credentials belong into the environment"),
        ("file:" + "//" + "/secret", "use `path:`"),
        ("not an address", "should match pattern"),
    ],
)
def test_address_that_may_not_be_named_is_one_clear_line(url, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_params({"ingest": {"sources": [{"url": url}]}})
    assert "sources.0.url" in str(error.value)


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a moto server: an S3 endpoint on this machine."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    import boto3

    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # it remembers the endpoint of the test before
    client = boto3.client("s3")
    client.create_bucket(Bucket="corpus")
    yield client
    server.stop()


@pytest.mark.slow
def test_bucket_is_read_like_a_folder(tmp_path, bucket, monkeypatch):
    monkeypatch.setattr(download, "BLOCK_BYTES", 1_000_000)
    for name in ("b.txt", "a.jsonl", "sub/c.txt", "other.pdf"):
        body = b'{"text": "line"}\n' if name.endswith("jsonl") else TEXT
        bucket.put_object(Bucket="corpus", Key=f"texts/{name}", Body=body)
    bucket.put_object(Bucket="corpus", Key="outside.txt", Body=TEXT)
    report, documents = run(tmp_path, "s3://corpus/texts")
    assert [d.id for d in documents] == ["texts/a.jsonl#00000001", "texts/b.txt", "texts/sub/c.txt"]
    assert documents[1].text == TEXT.decode()
    assert json.loads(documents[1].metadata)["url"] == "s3://corpus/texts/b.txt"
    assert report.metrics["files_set_aside"] == 1
    _, (single,) = run(tmp_path, "s3://corpus/outside.txt")
    assert (single.id, single.text) == ("outside/outside.txt", TEXT.decode())
    with pytest.raises(CorpusError, match="s3://no-such-bucket/x"):
        run(tmp_path, "s3://no-such-bucket/x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(CorpusError, match="no valid credentials"):
        run(tmp_path, "s3://corpus/texts")


@pytest.mark.slow
def test_bucket_that_stops_answering_half_way_is_gone_on_with(tmp_path, bucket, monkeypatch):
    import s3fs

    monkeypatch.setattr(download, "BLOCK_BYTES", 1_000_000)
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.001)
    bucket.put_object(Bucket="corpus", Key="far.txt", Body=TEXT)
    real, asked = s3fs.S3FileSystem.cat_file, []

    def cut_off(self, path, start=None, end=None, **more):
        asked.append(start)
        if start:
            raise ConnectionError("no answer")
        return real(self, path, start=start, end=end, **more)

    with monkeypatch.context() as broken:
        broken.setattr(s3fs.S3FileSystem, "cat_file", cut_off)
        with pytest.raises(CorpusError, match="stopped answering after 1,000,000 of"):
            run(tmp_path, "s3://corpus/far.txt")
    assert asked == [0, *[1_000_000] * 5]
    assert run(tmp_path, "s3://corpus/far.txt")[1][0].text == TEXT.decode()
