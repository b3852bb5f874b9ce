# Two commands matter: `make demo` and `make check`. See README.md, HACKING.md.
VERSION = 0.1.0
PREFIX = /usr/local
BUILD = build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
comma = ,

CC = gcc
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wno-format-nonliteral $(if $(CI),-Werror)
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DMONITOR_VERSION='"$(VERSION)"' -Ilib -Icmd -I$(BUILD) \
	$(WARNINGS) $(SANITIZERS) -pthread $(CPPFLAGS) $(CFLAGS) -MMD -MP
ALL_LDFLAGS = $(SANITIZERS) -pthread $(LDFLAGS)
LIBS = -lsqlite3 -ljansson -lm

PROGRAMS = monitor-ingest monitor-query monitor-purge
LIB = $(BUILD)/libmonitor.a
LIB_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*.c lib/*/*.c))
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*.c))

all: $(PROGRAMS:%=$(BUILD)/%)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

# The schema, as C: one string a file, named for it.
$(BUILD)/schema_%.h: lib/schema/%.sql
	@mkdir -p $(@D)
	{ echo 'static const char schema_$*[] ='; \
	  sed -e 's/[[:space:]]*--.*$$//' -e '/^[[:space:]]*$$/d' -e 's/["\\]/\\&/g' -e 's/^\(.*\)$$/"\1\\n"/' $<; \
	  echo ';'; } > $@
$(BUILD)/lib/sqlite/schema.o: $(BUILD)/schema_sqlite.h

define program
$$(BUILD)/$(1): $$(patsubst %.c,$$(BUILD)/%.o,$$(wildcard cmd/$(1)/*.c)) $$(BUILD)/cmd/cli.o $$(LIB)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

units: $(UNIT)

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
.PHONY: all clean units
.SECONDARY:
.DELETE_ON_ERROR:
