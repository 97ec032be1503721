"""The routes that only the page of the service uses."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
