# Two commands matter: `make demo` and `make check`. `make help` tells the rest.
VERSION = 0.1.0
PREFIX = /usr/local
SYSCONFDIR = /etc
BUILD = build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
comma = ,

CC = gcc
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wno-format-nonliteral $(if $(CI),-Werror)
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DMONITOR_VERSION='"$(VERSION)"' -Ilib -Icmd -I$(BUILD) -isystem /usr/include/postgresql \
	$(WARNINGS) $(SANITIZERS) -pthread $(CPPFLAGS) $(CFLAGS) -MMD -MP
ALL_LDFLAGS = $(SANITIZERS) -pthread $(LDFLAGS)
LIBS = -Wl,--as-needed -lsqlite3 -ljansson -lcurl -lwebsockets -lev -lzmq -lpq -lssl -lcrypto -lm

PROGRAMS = monitor-ingest monitor-query monitor-purge monitor-wsd monitor-zmq
MANUALS = $(wildcard man/*.[1-8])
# Named as each shell wants it, % being the program.
COMPLETION = bash/% zsh/_% fish/%.fish
COMPLETIONS = $(foreach c,$(COMPLETION),$(PROGRAMS:%=$(BUILD)/completions/$(c)))
LIB = $(BUILD)/libmonitor.a
LIB_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*.c lib/*/*.c))
# What commands share; each takes from it what it needs.
COMMAND = $(BUILD)/libcommand.a
COMMAND_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/*.c))

# What the tests need: a TAP program a module, tools for the bats files, what
# is preloaded into programs, and the fuzz targets as plain programs. Then the
# bench's programs.
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*.c))
TOOLS = $(patsubst tests/tools/%.c,$(BUILD)/tests/%,$(wildcard tests/tools/*.c))
PRELOAD = $(patsubst tests/preload/%.c,$(BUILD)/tests/%.so,$(wildcard tests/preload/*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz-%,$(wildcard tests/fuzz/*.c))
FUZZER = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzzer-%,$(wildcard tests/fuzz/*.c))
BENCHES = $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

# WebSocket as tests and bench speak it, the parts of the bench's load generator, and who
# uses that.
WIRE = $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/wire/*.c))
LOAD = $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/loads/*.c))
SPEAKERS = $(BUILD)/tests/frame $(BUILD)/tests/ws $(BUILD)/bench/load $(BUILD)/bench/ready

# What monitor-zmq is made of, for the unit tests named zmq_.
ZMQ_UNIT = $(filter $(BUILD)/tests/zmq_%,$(UNIT))
ZMQ_PARTS = $(BUILD)/cmd/log.o $(addprefix $(BUILD)/cmd/monitor-zmq/,allow.o input.o key.o numbers.o \
	output.o raw.o socket.o)

# What fuzz targets need of commands.
FUZZ_ALLOW = $(addprefix $(BUILD)/cmd/monitor-zmq/,allow.o key.o)
FUZZ_FORWARDED = $(addprefix $(BUILD)/cmd/monitor-wsd/,forwarded.o address.o)

# As many jobs as there are processors, where the caller did not say.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc))

all: $(PROGRAMS:%=$(BUILD)/%) $(COMPLETIONS) ## build the programs, and what shells complete them with

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
$(COMMAND): $(COMMAND_OBJ)
$(LIB) $(COMMAND):
	rm -f $@
	$(AR) rcs $@ $^

# The schemas, as C: one string a file, named for it.
$(BUILD)/schema_%.h: lib/schema/%.sql
	@mkdir -p $(@D)
	{ echo 'static const char schema_$*[] ='; \
	  sed -e 's/["\\]/\\&/g' -e 's/\t/\\t/g' -e 's/^\(.*\)$$/"\1\\n"/' $<; \
	  echo ';'; } > $@
$(BUILD)/lib/sqlite/schema.o: $(BUILD)/schema_sqlite.h
$(BUILD)/lib/postgres/schema.o: $(addprefix $(BUILD)/schema_postgres,.h _functions.h _roles.h)

define program
$$(BUILD)/$(1): $$(patsubst %.c,$$(BUILD)/%.o,$$(wildcard cmd/$(1)/*.c)) $$(COMMAND) $$(LIB)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(COMPLETIONS): $(wildcard scripts/completions/*)
define completion
$$(BUILD)/completions/$(1): $$(BUILD)/%
	@mkdir -p $$(@D)
	scripts/completions/make.sh $$(notdir $$(@D)) $$< >$$@
endef
$(foreach c,$(COMPLETION),$(eval $(call completion,$(c))))

link = @mkdir -p $(@D) && echo "$(CC) -o $@" && $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LIBS)

$(UNIT): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(LIB)
	$(link)
$(ZMQ_UNIT): $(ZMQ_PARTS)
$(ZMQ_UNIT:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.o): CPPFLAGS += -Icmd/monitor-zmq
$(TOOLS): $(BUILD)/tests/%: $(BUILD)/tests/tools/%.o $(LIB)
	$(link)
$(PRELOAD): $(BUILD)/tests/%.so: tests/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -shared -fPIC -o $@ $<
$(FUZZ): $(BUILD)/tests/fuzz-%: $(BUILD)/tests/fuzz/%.o $(LIB)
	$(link)
$(FUZZ:$(BUILD)/tests/fuzz-%=$(BUILD)/tests/fuzz/%.o): CPPFLAGS += -DFUZZ_STANDALONE
$(BUILD)/tests/fuzz-allow $(BUILD)/fuzzer-allow: $(FUZZ_ALLOW)
$(BUILD)/tests/fuzz-forwarded $(BUILD)/fuzzer-forwarded: $(FUZZ_FORWARDED)
$(BENCHES): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(link)

$(BUILD)/tests/%.o: CPPFLAGS += -Itests/wire
$(BUILD)/bench/%.o: CPPFLAGS += -Itests/wire -Ibench
$(SPEAKERS): $(WIRE)
$(SPEAKERS): LIBS += -lssl
$(BUILD)/tests/ws: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/tools/ws/*.c))
$(BUILD)/bench/load: $(LOAD)
$(BUILD)/bench/echod: LIBS += -lwebsockets -lev

units: $(UNIT)
testers: all $(UNIT) $(TOOLS) $(PRELOAD) $(FUZZ)
benches: all $(BENCHES)

deps:                                        ## install what building and testing needs (apt)
	scripts/deps.sh build check

demo:                                        ## install, build, and show the tools at work
	scripts/deps.sh build
	$(MAKE) $(JOBS) all
	BUILD=$(BUILD) scripts/demo.sh

check:                                       ## install, build, and run every test
	scripts/deps.sh build check
	$(MAKE) $(JOBS) testers
	BUILD=$(BUILD) UNIT="$(UNIT)" FUZZ="$(FUZZ)" SANITIZE=$(SANITIZE) tests/run

torture:                                     ## kill and restart, 200 times (CYCLES=N); let calls fail
	scripts/deps.sh build check
	$(MAKE) $(JOBS) testers
	BUILD=$(BUILD) tests/torture.sh
	BUILD=$(BUILD) STOP=60 tests/torture-wsd.sh
	BUILD=$(BUILD) tests/torture-zmq.sh
	BUILD=$(BUILD) tests/torture-postgres.sh
	BUILD=$(BUILD) FAULTS=60 bats -f "does no harm" tests/ingest-faults.bats

bench:                                       ## measure beside other tools (BENCH="ingest query")
	scripts/deps.sh build bench
	$(MAKE) $(JOBS) benches
	BUILD=$(BUILD) bench/run $(BENCH)

bench-connections:                           ## as many connections as the machine allows (CONNECTIONS=100k)
	$(MAKE) BENCH=connections bench

# The library again, with clang's coverage, then each target for a while. Some work in a
# directory of their own, so what they find needs a whole path.
FUZZ_SECONDS = 300
FOUND = $(abspath $(BUILD)/fuzz)
fuzz:                                        ## run the fuzz targets (FUZZ_SECONDS=300 each)
	scripts/deps.sh build fuzz
	$(MAKE) $(JOBS) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
	for f in $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)); do \
		mkdir -p $(FOUND)/corpus-$$f && $(BUILD)/fuzz/fuzzer-$$f -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=$(FOUND)/ $(FOUND)/corpus-$$f || exit; \
	done
fuzzers: $(FUZZER)
$(FUZZER): SANITIZERS += -fsanitize=fuzzer
$(FUZZER): $(BUILD)/fuzzer-%: $(BUILD)/libfuzzer/%.o $(LIB)
	$(link)
$(BUILD)/libfuzzer/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

image:                                       ## build the container image, monitor:VERSION (buildah)
	scripts/deps.sh build image
	$(MAKE) $(JOBS) all
	BUILD=$(BUILD) deploy/image/build

check-image:                                 ## build the container image, and run it (podman, as root)
	scripts/deps.sh build check image
	$(MAKE) $(JOBS) all
	BUILD=$(BUILD) tests/run tests/image/image.bats

# What is installed beside the programs, each file with its place under PREFIX. (Debian's zsh has
# one for what packages bring, and one for /usr/local.)
ZSH = share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
PLACES = $(foreach m,$(MANUALS),$(m):share/man/man$(subst .,,$(suffix $(m)))) \
	$(patsubst %,%:lib/systemd/system,$(wildcard deploy/systemd/*)) \
	$(patsubst %,%:lib/sysusers.d,$(wildcard deploy/sysusers.d/*)) \
	$(patsubst %,%:lib/tmpfiles.d,$(wildcard deploy/tmpfiles.d/*)) \
	$(patsubst %,%:share/bash-completion/completions,$(filter $(BUILD)/completions/bash/%,$(COMPLETIONS))) \
	$(patsubst %,%:$(ZSH),$(filter $(BUILD)/completions/zsh/%,$(COMPLETIONS))) \
	$(patsubst %,%:share/fish/vendor_completions.d,$(filter $(BUILD)/completions/fish/%,$(COMPLETIONS))) \
	$(patsubst %,%:share/doc/monitor/examples,$(wildcard deploy/examples/* deploy/prometheus/*))
source = $(firstword $(subst :, ,$(1)))
place = $(DESTDIR)$(PREFIX)/$(lastword $(subst :, ,$(1)))/$(notdir $(source))
CONF = $(DESTDIR)$(SYSCONFDIR)/monitor/monitor.conf

install: all                                 ## install into DESTDIR, PREFIX (/usr/local), SYSCONFDIR (/etc)
	install -d $(DESTDIR)$(PREFIX)/bin
	install $(PROGRAMS:%=$(BUILD)/%) $(DESTDIR)$(PREFIX)/bin
	$(foreach p,$(PLACES),install -D -m 644 $(call source,$(p)) $(call place,$(p)) &&) true
	sed -i 's,/usr/bin/monitor,$(PREFIX)/bin/monitor,; s,/etc/monitor,$(SYSCONFDIR)/monitor,' \
		$(foreach p,$(filter deploy/systemd/% deploy/tmpfiles.d/%,$(PLACES)),$(call place,$(p)))
	test -e $(CONF) || install -D -m 644 deploy/monitor.conf $(CONF)

uninstall:                                   ## remove what install put there, but settings that were changed
	rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%) $(foreach p,$(PLACES),$(call place,$(p)))
	! cmp -s deploy/monitor.conf $(CONF) || rm $(CONF)

dist:                                        ## what is committed, as a tarball
	VERSION=$(VERSION) BUILD=$(BUILD) scripts/dist.sh

deb: dist                                    ## Debian packages, from that tarball
	scripts/deps.sh build deb
	rm -rf $(BUILD)/deb
	scripts/deb.sh $(BUILD)/monitor-$(VERSION).tar.gz $(BUILD)/deb

check-install:                               ## install them on a bare Debian, and do what an operator does
	scripts/deps.sh build deb check-install
	VERSION=$(VERSION) BUILD=$(BUILD) tests/check-install.sh

clean:                                       ## remove what was built
	rm -rf $(BUILD)

help:                                        ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 - /p' Makefile

-include $(shell find $(BUILD) -path '*/check-install' -prune -o -type f -name '*.d' -print 2>/dev/null)
.PHONY: all units testers benches deps demo check check-install check-image dist deb image torture bench bench-connections fuzz fuzzers \
	install uninstall clean help
.SECONDARY:
.DELETE_ON_ERROR:
