# Everything a developer types. `make help` lists it; each line with ## is a target for people.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Kafka and PostgreSQL: those that KAFKA_BROKERS and DATABASE_URL name, else brought for the command.
WITH := scripts/with-services
# Two packages at once is what two cores carry: all share the servers, and some start a Kafka of their own.
TEST := $(WITH) go run ./scripts/tally -timeout=20m -p=2

# The page of the app: TypeScript, built into a folder that is committed and embedded, so that only whoever changes it needs Node.
WEB := services/app/web

.PHONY: help build up demo web browser test race torture journey wide bench gen contract golden breaking lint fmt vuln tools ci clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the services and the command obole into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./services/...

demo: build ## play the market's story on a market of its own, and tell what came of it
	bin/obole demo

up: build ## run the whole market on this machine, on an embedded broker and database
	bin/obole up

web: $(WEB)/node_modules/.package-lock.json ## check, test and build the page into services/app/web/dist; needs Node 20.19 or newer
	cd $(WEB) && npm run --silent types && npm run --silent test && npm run --silent build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json $(WEB)/package.json
	cd $(WEB) && npm ci --silent --engine-strict=false
	touch $@

browser: build $(WEB)/node_modules/.package-lock.json ## the page in headless Chromium against a market of its own (Debian: apt-get install chromium)
	cd $(WEB) && timeout 900 npm run --silent browser

test: ## every test of both modules, on real Kafka and PostgreSQL
	$(TEST) work

race: ## the same under the race detector
	$(TEST) -race work

torture: ## the tests that kill and restart, with their full counts
	OBOLE_TORTURE=full $(TEST) -timeout=2h -count=1 work

journey: ## the market's story with the services over real Kafka and PostgreSQL
	$(TEST) -count=1 ./services/internal/journey/...

wide: ## import every file of the folder that OBOLE_DATA names
	go test -tags wide -count=1 -run Wide -v ./services/delivery/internal/source

bench: build $(WEB)/node_modules/.package-lock.json ## the figures of docs/performance.md, in one run
	$(WITH) go test -timeout=15m -run '^$$' -bench Paths -benchtime 1x \
		./pkg/es/espg ./pkg/bus ./pkg/projection ./services/settlement ./services/internal/journey
	cd $(WEB) && timeout 600 npm run --silent figures

gen: .tools/buf .tools/protoc-gen-go .tools/protoc-gen-go-grpc $(WEB)/node_modules/.package-lock.json ## regenerate the contract's Go and TypeScript, and docs/events.md
	.tools/buf generate
	if [ -d scripts/events ]; then .tools/buf build proto -o - | go run ./scripts/events > docs/events.md; fi

breaking: .tools/buf ## what of the contract differs from the committed image in a way that breaks somebody
	.tools/buf lint proto
	.tools/buf breaking proto --exclude-imports --against proto/golden/contract.binpb

contract: .tools/buf ## renew the image that `make breaking` compares with; until v0.1.0 with a decision note
	mkdir -p proto/golden
	.tools/buf build proto --exclude-source-info -o proto/golden/contract.binpb

golden: ## write the frozen files of event shapes that have none yet
	go test ./services/*/internal/wire -update

lint: .tools/golangci-lint .tools/buf ## golangci-lint over both modules, buf lint
	.tools/golangci-lint run ./...
	cd proto && ../.tools/golangci-lint run --config ../.golangci.yml ./...
	.tools/buf lint proto

fmt: .tools/gofumpt .tools/goimports ## format the Go code
	.tools/gofumpt -l -w pkg services scripts deploy
	.tools/goimports -l -w -local github.com/obole-market/obole pkg services scripts deploy

vuln: .tools/govulncheck ## known vulnerabilities of what we stand on; needs the network
	.tools/govulncheck ./...

ci: ## what runs before a change lands
	.ci/run

clean: ## remove what was built
	rm -rf bin .tools .cache

# Tools are built from their own modfiles, outside the workspace, so that the product takes none of their dependencies.
# Never tidy such a modfile: renew it with `GOWORK=off go get -tool -modfile=tools/X.mod PACKAGE@VERSION`.
tools: .tools/buf .tools/protoc-gen-go .tools/protoc-gen-go-grpc .tools/golangci-lint .tools/gofumpt .tools/goimports

define tool
.tools/$(1): tools/$(2).mod tools/$(2).sum
	CGO_ENABLED=0 GOWORK=off go build -modfile=tools/$(2).mod -trimpath -o $$@ $(3)
endef
$(eval $(call tool,buf,buf,github.com/bufbuild/buf/cmd/buf))
$(eval $(call tool,protoc-gen-go,gen,google.golang.org/protobuf/cmd/protoc-gen-go))
$(eval $(call tool,protoc-gen-go-grpc,gen,google.golang.org/grpc/cmd/protoc-gen-go-grpc))
$(eval $(call tool,golangci-lint,lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint))
$(eval $(call tool,gofumpt,format,mvdan.cc/gofumpt))
$(eval $(call tool,goimports,format,golang.org/x/tools/cmd/goimports))
$(eval $(call tool,govulncheck,vuln,golang.org/x/vuln/cmd/govulncheck))
