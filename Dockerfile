# One image for every process: `api`, `worker`, `migrate` (and the client commands).
FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY scripts scripts
COPY src src
COPY examples examples
RUN node scripts/build.mjs && npm prune --omit=dev --no-audit --no-fund

FROM node:20-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 COUNTERSIGN_HOME=/data COUNTERSIGN_POLICIES=/app/policies
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json package-lock.json ./
COPY bin bin
COPY scripts/lib.mjs scripts/lib.mjs
COPY policies policies
RUN mkdir /data && chown node:node /data
VOLUME /data
USER node
EXPOSE 8080
# A worker needs an init as process 1 (`docker run --init`): node collects no processes that have lost their parent.
ENTRYPOINT ["node", "bin/countersign.mjs"]
CMD ["api"]
