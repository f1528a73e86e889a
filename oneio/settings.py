"""Settings: read from the environment, with defaults that run on one machine without any set-up.

Every variable is described in docs/reference/settings.md.
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from oneio import embedded_postgres, state
from oneio.deadline import PooledConnection


def flag(name: str, default: bool) -> bool:
    """A yes/no variable of the environment."""
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def number(name: str, default: float) -> float:
    """A number from the environment."""
    try:
        return float(os.environ.get(name, default))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {os.environ[name]!r}.") from None


def database_from_url(url: str) -> dict[str, Any]:
    """Django's database entry for postgresql://user:password@host:port/name?option=value."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must begin with postgresql://. oneio runs on PostgreSQL only."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


PRODUCTION = os.environ.get("ONEIO_ENV") == "production"
DEBUG = flag("ONEIO_DEBUG", False)

try:
    _secrets = state.secrets()
except state.StateError as error:
    raise ImproperlyConfigured(str(error)) from None
SECRET_KEY = _secrets.secret_key
ENCRYPTION_KEYS = [{"id": key.id, "key": b64encode(key.key).decode()} for key in _secrets.encryption_keys]
HASH_KEY = b64encode(_secrets.hash_key).decode()

ALLOWED_HOSTS = os.environ.get("ONEIO_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = list(filter(None, os.environ.get("ONEIO_ORIGINS", "").split(",")))
PUBLIC_URL = os.environ.get("ONEIO_PUBLIC_URL", "http://localhost:8000").rstrip("/")

INSTALLED_APPS = [
    "oneio.apps.OneioConfig",
    "endpoints",
    "routing",
    "conversations",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.guardian",
    "oneio.apps.PagesConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "conversations.shortcut.InboundShortcut",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "oneio.addresses.without_nul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "oneio.zones.ReadersZone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "oneio.urls"
WSGI_APPLICATION = "oneio.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [state.CHECKOUT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

EMBEDDED_DATABASE = not os.environ.get("DATABASE_URL")
DATABASES: dict[str, dict[str, Any]] = {
    "default": embedded_postgres.settings()
    if EMBEDDED_DATABASE
    else database_from_url(os.environ["DATABASE_URL"])
}
DATABASES["default"].setdefault("OPTIONS", {})
# A thread of the web server may hold a connection while it waits for another thread: one for each.
POOL_CONNECTIONS = 16
if flag("ONEIO_POOL", False):  # the web server switches it on, after its fork
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 2,
        "max_size": POOL_CONNECTIONS,
        "timeout": 5,
        "connection_class": PooledConnection,
    }
DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 5)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

AUTHENTICATION_BACKENDS = [
    "oneio.login_backend.LimitedBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# How many failed logins of people are let through within the window before further ones are refused: with one
# name from one address, with one name from anywhere, from one address with any name. 0 limits nothing.
LOGIN_WINDOW_SECONDS = number("ONEIO_LOGIN_WINDOW_SECONDS", 15 * 60)
LOGIN_FAILURES = int(number("ONEIO_LOGIN_FAILURES", 10))
LOGIN_FAILURES_PER_NAME = int(number("ONEIO_LOGIN_FAILURES_PER_NAME", 50))
LOGIN_FAILURES_PER_ADDRESS = int(number("ONEIO_LOGIN_FAILURES_PER_ADDRESS", 100))
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = state.state_directory() / "static"
STATICFILES_DIRS = [path for path in [state.CHECKOUT / "static"] if path.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION and flag("ONEIO_SSL_REDIRECT", True)
SECURE_HSTS_SECONDS = int(number("ONEIO_HSTS_SECONDS", 31_536_000 if PRODUCTION else 0))
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
BEHIND_PROXY = flag("ONEIO_BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
X_FRAME_OPTIONS = "DENY"

# For forms, whose text is held in memory before anybody has signed in. The inbound API checks limits of its
# own and answers 413 in its own words.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
MESSAGE_MAX_BYTES = int(number("ONEIO_MESSAGE_MAX_BYTES", 1024 * 1024))
ATTACHMENT_MAX_BYTES = int(number("ONEIO_ATTACHMENT_MAX_BYTES", 100 * 1024 * 1024))
QUEUE_MAX_AGE_SECONDS = number("ONEIO_QUEUE_MAX_AGE_SECONDS", 3 * 24 * 3600)
DISK_MIN_FREE_BYTES = int(number("ONEIO_DISK_MIN_FREE_BYTES", 512 * 1024 * 1024))

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["conversations.receiver.ReceiverAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "conversations.problems.answer",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "oneio receiver",
    "DESCRIPTION": "Post tickets here. Every accepted message is stored before you get its Response ID.",
    "VERSION": "1",
    "OAS_VERSION": "3.0.3",
    "PREPROCESSING_HOOKS": ["conversations.api_schema.only_documented"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Outbound requests go to public addresses only, unless these say otherwise.
ALLOW_LOOPBACK = flag("ONEIO_ALLOW_LOOPBACK", False)
ALLOW_PRIVATE_NETWORKS = flag("ONEIO_ALLOW_PRIVATE_NETWORKS", False)
EXTRA_CA_FILE = os.environ.get("ONEIO_EXTRA_CA_FILE", "")

# Workers. A pump stays in its process for good; one process more runs the scheduled work.
PUMPS = int(number("ONEIO_PUMPS", 2))
HTTP_THREADS = int(number("ONEIO_HTTP_THREADS", 96))
LEASE_SECONDS = number("ONEIO_LEASE_SECONDS", 20)
Q_CLUSTER = {
    "name": "oneio",
    "broker_class": "oneio.broker.PumpBroker",
    "orm": "default",
    "workers": PUMPS + 1,
    "timeout": 300,
    "retry": 600,
    "queue_limit": PUMPS + 4,
    "bulk": 1,
    "poll": 0.5,
    "save_limit": 100,
    "max_attempts": 1,
    "catch_up": False,
    "label": "Scheduled work",
}
PUMP = "conversations.pump.run"
SCHEDULES = {
    "Sweep": ("conversations.tasks.sweep", 1),
    "Retention": ("conversations.tasks.retain", 10),
    "Hourly counts": ("conversations.tasks.count", 1),
    "Replays": ("conversations.tasks.replay", 1),
    "Failed logins": ("oneio.logins.forget_old", 10),
}

# For how many days data is kept; 0: for ever.
RETENTION_CONTENT_DAYS = int(number("ONEIO_RETENTION_CONTENT_DAYS", 30))
RETENTION_CONVERSATION_DAYS = int(number("ONEIO_RETENTION_CONVERSATION_DAYS", 365))
RETENTION_VIEW_DAYS = int(number("ONEIO_RETENTION_VIEW_DAYS", 730))

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("ONEIO_LOG_LEVEL", "INFO")},
    "loggers": {
        # Django's request log quotes paths with their query, and with it auth_token.
        "django.request": {"handlers": ["console"], "level": "CRITICAL", "propagate": False},
        "django-q": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "oneio",
    "SITE_HEADER": "oneio",
    "SITE_SUBHEADER": "Tickets, in order and once",
    "SITE_SYMBOL": "sync_alt",
    "SITE_URL": "",  # there is no other site behind this one
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("oneio/oneio.css")],
    "SCRIPTS": [lambda request: static("oneio/oneio.js")],
    "DASHBOARD_CALLBACK": "oneio.home.page.dashboard",
    "LOGIN": {"form": "oneio.login_page.LoginForm"},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": [
            {
                "title": "Flow",
                "items": [
                    {"title": "Home", "icon": "home", "link": reverse_lazy("admin:index")},
                    {
                        "title": "Needs you",
                        "icon": "priority_high",
                        "link": reverse_lazy("needs_you"),
                        "badge": "oneio.home.needs.held_badge",
                    },
                    {
                        "title": "Messages",
                        "icon": "move_to_inbox",
                        "link": reverse_lazy("admin:conversations_message_changelist"),
                    },
                    {
                        "title": "Deliveries",
                        "icon": "outbox",
                        "link": reverse_lazy("admin:conversations_delivery_changelist"),
                    },
                    {
                        "title": "Conversations",
                        "icon": "forum",
                        "link": reverse_lazy("admin:conversations_conversation_changelist"),
                    },
                    {
                        "title": "Replays",
                        "icon": "replay",
                        "link": reverse_lazy("admin:conversations_replay_changelist"),
                    },
                    {"title": "Why?", "icon": "help", "link": reverse_lazy("why")},
                    {
                        "title": "Alerts",
                        "icon": "notifications",
                        "link": reverse_lazy("admin:endpoints_alert_changelist"),
                    },
                ],
            },
            {
                "title": "Set up",
                "items": [
                    {
                        "title": "Endpoints",
                        "icon": "hub",
                        "link": reverse_lazy("admin:endpoints_endpoint_changelist"),
                    },
                    {
                        "title": "Routing rules",
                        "icon": "alt_route",
                        "link": reverse_lazy("admin:routing_routingrule_changelist"),
                        # Export and import lies below it and has an entry of its own.
                        "active": lambda request: (
                            "/routingrule/" in request.path and "/configuration/" not in request.path
                        ),
                    },
                    {
                        "title": "Translation tables",
                        "icon": "translate",
                        "link": reverse_lazy("admin:routing_translationtable_changelist"),
                    },
                    {"title": "Golden tickets", "icon": "verified", "link": reverse_lazy("golden_tickets")},
                    {
                        "title": "Export and import",
                        "icon": "swap_vert",
                        "link": reverse_lazy("admin:routing_configuration"),
                    },
                ],
            },
            {
                "title": "Administration",
                "collapsible": True,
                "items": [
                    {
                        "title": "Organizations",
                        "icon": "domain",
                        "link": reverse_lazy("admin:oneio_organization_changelist"),
                    },
                    {
                        "title": "Environments",
                        "icon": "dns",
                        "link": reverse_lazy("admin:oneio_environment_changelist"),
                    },
                    {"title": "Users", "icon": "person", "link": reverse_lazy("admin:auth_user_changelist")},
                    {"title": "Groups", "icon": "group", "link": reverse_lazy("admin:auth_group_changelist")},
                    {
                        "title": "Who read what",
                        "icon": "visibility",
                        "link": reverse_lazy("admin:conversations_payloadview_changelist"),
                        "permission": "oneio.admin.base.may_administer",
                    },
                    {
                        "title": "Scheduled work",
                        "icon": "schedule",
                        "link": reverse_lazy("admin:django_q_schedule_changelist"),
                    },
                ],
            },
        ],
    },
}
