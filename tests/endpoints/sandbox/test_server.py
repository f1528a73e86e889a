import socket
import threading

import pytest
import requests

from endpoints.sandbox import server as module
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.tls import Certificate
from tests.endpoints.sandbox.conftest import Receiver
from tests.patience import PATIENCE


def test_connection_is_kept_for_next_request(receiver: Receiver, http: requests.Session) -> None:
    ports = set()
    for body in (b"one", b"", b"three"):
        http.post(receiver.base_url + "/in", data=body)
        ports.add(receiver.posts[-1].environ["REMOTE_PORT"])

    assert len(ports) == 1
    assert [post.data for post in receiver.posts] == [b"one", b"", b"three"]


def test_chunked_bodies_are_read(receiver: Receiver, http: requests.Session) -> None:
    http.post(receiver.base_url + "/in", data=iter([b"a" * 70_000, b"b"]))

    assert receiver.posts[0].data == b"a" * 70_000 + b"b"


def test_unread_body_does_not_disturb_next_request(receiver: Receiver, http: requests.Session) -> None:
    refused = http.put(receiver.base_url + "/in", data=b"POST /in HTTP/1.1\r\n\r\n")
    accepted = http.post(receiver.base_url + "/in", data=b"next")

    assert (refused.status_code, accepted.status_code) == (405, 202)
    assert [post.data for post in receiver.posts] == [b"next"]


def test_taken_port_is_reported(receiver: Receiver) -> None:
    port = int(receiver.base_url.rpartition(":")[2])

    with pytest.raises(OSError, match="in use"):
        SandboxServer(Receiver(), port=port)


def test_stopped_server_answers_nobody(http: requests.Session) -> None:
    server = SandboxServer(Receiver()).start()
    http.get(server.url + "/_sandbox/health")

    server.stop()

    with pytest.raises(requests.ConnectionError):
        http.get(server.url + "/_sandbox/health")


def test_stop_lets_request_in_flight_finish(http: requests.Session) -> None:
    server = SandboxServer(Receiver()).start()
    http.put(server.url + "/_sandbox/faults", json=[{"path": "/slow", "delay": 0.5}])
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(http.post(server.url + "/slow").status_code))
    client.start()
    while not http_requests(server):
        pass

    server.stop()

    client.join()
    assert answers == [202]


def http_requests(server: SandboxServer) -> list[object]:
    with requests.Session() as session:
        session.trust_env = False
        listed: list[object] = session.get(server.url + "/_sandbox/requests").json()
        return listed


def test_silent_tls_client_blocks_nobody(certificate: Certificate, http: requests.Session) -> None:
    server = SandboxServer(Receiver(), certificate=certificate)
    with server, socket.create_connection(("127.0.0.1", server.port)):
        answer = http.get(server.url + "/_sandbox/health", verify=str(certificate.cert), timeout=5)

    assert answer.json()["status"] == "ok"


def test_never_started_server_stops() -> None:
    server = SandboxServer(Receiver())

    server.stop()

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_server_serves_in_callers_thread(http: requests.Session) -> None:
    server = SandboxServer(Receiver())
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    assert http.get(server.url + "/_sandbox/health").status_code == 200

    server.stop()
    serving.join(5)
    assert not serving.is_alive()


def test_request_cut_short_is_not_applied(receiver: Receiver) -> None:
    port = int(receiver.base_url.rpartition(":")[2])

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncut short")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""

    assert receiver.posts == []


def test_stuck_request_is_cut_off_in_the_end(http: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    server = SandboxServer(Receiver()).start()
    http.put(server.url + "/_sandbox/faults", json=[{"path": "/slow", "delay": PATIENCE}])
    failures: list[type[BaseException]] = []
    client = threading.Thread(target=_record_failure, args=(server.url + "/slow", failures))
    client.start()
    while not http_requests(server):
        pass

    server.stop()

    client.join()
    assert failures == [requests.ConnectionError]


def _record_failure(url: str, failures: list[type[BaseException]]) -> None:
    try:
        requests.post(url, timeout=2 * PATIENCE)
    except requests.RequestException as error:
        failures.append(type(error))
