#include "again.h"

#include <math.h>
#include <poll.h>
#include <stdint.h>

#include "crypto.h"

int
again_wait(unsigned failures, double first, double most, int stop_fd, struct error *e)
{
	double delay = fmin(ldexp(first, (int)(failures < 32 ? failures : 32) - 1), most);
	struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
	uint16_t chance;

	if (crypto_random(&chance, sizeof(chance), e) == -1)
		return -1;
	delay *= 0.5 + chance / 65536.0 / 2;
	return poll(&stop, 1, (int)(delay * 1000)) == 1;
}
