# syntax=docker/dockerfile:1

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# Without pip, because the final image needs no installer.
RUN python -m venv --without-pip /opt/venv
# Install the packages first, so that their layer is rebuilt only when the list changes.
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*project['dependencies'], *project['optional-dependencies']['tracing'], sep='\n')" > /tmp/requirements.txt
RUN pip --python /opt/venv/bin/python install -r /tmp/requirements.txt
ENV PATH=/opt/venv/bin:$PATH
COPY manage.py Procfile gunicorn.conf.py ./
COPY scripts/entrypoint scripts/healthy ./scripts/
COPY incidents ./incidents
COPY kb ./kb
COPY templates ./templates
COPY fixtures ./fixtures
RUN VAR_DIR=/tmp/var STATIC_ROOT=/app/static python manage.py collectstatic --noinput
RUN python -m compileall -q /app/incidents /app/kb

FROM python:3.12-slim
# Fixed ids, so that volumes and orchestrators can refer to them. No login shell, no home folder.
RUN groupadd --system --gid 10001 precedent \
    && useradd --system --uid 10001 --gid precedent --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin precedent \
    && install -d -o precedent -g precedent -m 0750 /var/lib/precedent
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GUNICORN_CMD_ARGS="--worker-tmp-dir /dev/shm" \
    HOST=0.0.0.0 \
    PORT=8000 \
    STATIC_ROOT=/app/static \
    VAR_DIR=/var/lib/precedent \
    LOG_FORMAT=json
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["scripts/entrypoint", "healthy", "web"]
ENTRYPOINT ["scripts/entrypoint"]
CMD ["web"]
