#include "again.h"

#include <math.h>
#include <poll.h>
#include <stdint.h>

#include "crypto.h"

double
again_delay(unsigned failures, double first, double most, double chance)
{
	double delay = fmin(ldexp(first, (int)(failures < 32 ? failures : 32) - 1), most);

	return delay * (1 + chance) / 2;
}

int
again_wait(unsigned failures, double first, double most, int stop_fd, struct error *e)
{
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	uint16_t chance;

	if (crypto_random(&chance, sizeof(chance), e) == -1)
		return -1;
	return poll(&stop, 1, (int)(again_delay(failures, first, most, chance / 65536.0) * 1000)) == 1;
}
