# Fermata as an image: the built package and its production dependencies, on Debian with Node 22.
#
#     docker build --tag fermata .
#     docker run --rm fermata --version
#
# The same image runs `serve`, `gateway` and `runtime`: what stands behind its name takes the place of CMD.
# docs/deploy.md says how an app gets in. test/deploy reads this file, and runs its steps and the result without Docker.

# A digest pins it: --build-arg NODE_IMAGE=node:22-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Packages bring their binaries along. With its scripts npm 10 would compile SQLite, for which this image has no compiler.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY workers ./workers
RUN npm run build && chmod 0755 dist/src/cli/main.js

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
# Binaries of other platforms, the sources of SQLite and a package's own tests are nine tenths of the bytes; nothing loads them.
RUN find node_modules/uWebSockets.js -name 'uws_*.node' \
      ! -name "uws_$(node -p 'process.platform + "_" + process.arch + "_" + process.versions.modules').node" -delete \
    && find node_modules/better-sqlite3/prebuilds -name '*.node' \
      ! -name "$(node -p 'process.platform + "-" + process.arch').node" -delete \
    && rm -r node_modules/better-sqlite3/deps node_modules/better-sqlite3/src node_modules/bintrees/test
# What is left must load, or there is no image.
RUN node --input-type=module \
      --eval 'import Database from "better-sqlite3"; import "uWebSockets.js"; new Database(":memory:").close()'

FROM ${NODE_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Fermata" \
      org.opencontainers.image.description="A self-hosted runtime for stateful actors in TypeScript" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:22-bookworm-slim"
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8080 \
    DATA_DIR=/data
# A new volume takes its owner from the folder that it covers. An app in /app finds `fermata` in /node_modules.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data /backups \
    && install --directory --mode=0755 /app /node_modules \
    && ln -s /opt/fermata /node_modules/fermata \
    && ln -s /opt/fermata/dist/src/cli/main.js /usr/local/bin/fermata
COPY package.json LICENSE /opt/fermata/
COPY --from=dependencies /build/node_modules /opt/fermata/node_modules
COPY --from=build /build/dist /opt/fermata/dist
WORKDIR /app
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ready, not merely alive: what waits for it to be healthy wants to be served. A `runtime` does not listen on PORT: for it
# docker-compose.yml asks ADMIN_PORT instead.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["node", "--eval", "fetch('http://127.0.0.1:' + process.env.PORT + '/ready', { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/fermata/dist/src/cli/main.js"]
CMD ["serve", "/app/app.js"]
