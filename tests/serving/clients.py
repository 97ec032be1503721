"""A client with right requests, whose answers must arrive whatever others send."""

from __future__ import annotations

import threading
import time
from collections import Counter

import httpx
from tests.serving.service import Running


class Client(threading.Thread):
    """A client with right requests, one after the other, that counts its answers."""

    def __init__(self, service: Running, data: bytes, label: str) -> None:
        super().__init__()
        self.service, self.data, self.label = service, data, label
        self.ended, self.answers = threading.Event(), Counter[str]()

    def run(self) -> None:
        with httpx.Client(base_url=self.service.url, timeout=60) as client:
            while not self.ended.is_set():
                for _ in range(100):  # a client tries again where the service was busy
                    answer = client.post(
                        "/v1/predict", files={"file": self.data}, data={"device": "B"}
                    )
                    if answer.status_code != 503:
                        break
                    time.sleep(0.2)
                right = answer.status_code == 200 and answer.json()["label"] == self.label
                self.answers["right" if right else f"{answer.status_code} {answer.text}"] += 1
                time.sleep(0.05)
