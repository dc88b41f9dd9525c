"""GETs at a fixed rate over keep-alive connections: fixed_rate.py URL RATE SECONDS. Prints the p99 in ms, late starts
included, so that a stall counts with all the requests that it held up."""
import socket
import sys
import threading
import time
import urllib.parse

CONNECTIONS = 4


def worker(address, rate, seconds, offset, latencies):
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = f"GET / HTTP/1.1\r\nHost: {address[0]}\r\n\r\n".encode()
    begin = time.perf_counter() + offset
    for index in range(int(rate * seconds)):
        due = begin + index / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        connection.sendall(request)
        answer = b""
        while b"request 1" not in answer:
            part = connection.recv(65536)
            if not part:
                raise SystemExit("the connection was closed")
            answer += part
        latencies.append(time.perf_counter() - due)


url, rate, seconds = urllib.parse.urlparse(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
rate = min(rate, 2000)  # what this client keeps up with
latencies = []
threads = [threading.Thread(target=worker, args=((url.hostname, url.port), rate / CONNECTIONS, seconds,
                                                 i / rate, latencies)) for i in range(CONNECTIONS)]
[t.start() for t in threads]
[t.join() for t in threads]
latencies.sort()
print(f"{latencies[int(len(latencies) * .99)] * 1e3:.2f}")
