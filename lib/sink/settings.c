#include "sink/settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int
copy_command(struct sink_settings *s, char *const *command)
{
	size_t n = 0;
	char **copy;

	while (command[n] != NULL)
		n++;
	if ((copy = calloc(n + 1, sizeof(*copy))) == NULL)
		return -1;
	s->command = copy;
	for (size_t i = 0; i < n; i++)
		if ((copy[i] = strdup(command[i])) == NULL)
			return -1;
	return 0;
}

int
sink_settings_copy(struct sink_settings *to, const struct sink_settings *from, struct error *e)
{
	struct sockaddr_un address;

	*to = *from;
	to->command = NULL;
	to->path = NULL;
	if (from->path != NULL && strlen(from->path) >= sizeof(address.sun_path))
		return error_set(e, ERROR_USAGE, "%s: too long for the path of a socket", from->path);
	if (from->command != NULL && copy_command(to, from->command) == -1)
		return error_memory(e);
	if (from->path != NULL && (to->path = strdup(from->path)) == NULL)
		return error_memory(e);
	return 0;
}

void
sink_settings_free(struct sink_settings *s)
{
	if (s->command != NULL)
		for (char *const *arg = s->command; *arg != NULL; arg++)
			free(*arg);
	free((char **)s->command);
	free((char *)s->path);
}
