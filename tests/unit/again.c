/* How long it takes until something is tried again. */
#include "again.h"
#include "tap.h"

int
main(void)
{
	tap_ok(again_delay(1, 0.25, 60, 1) == 0.25, "after the first failure as long as was said");
	tap_ok(again_delay(2, 0.25, 60, 1) == 0.5 && again_delay(5, 0.25, 60, 1) == 4,
	    "then twice as long each time");
	tap_ok(again_delay(9, 0.25, 60, 1) == 60 && again_delay(4000000000u, 0.25, 60, 1) == 60,
	    "but never longer than that");
	tap_ok(again_delay(3, 0.25, 60, 0) == 0.5 && again_delay(3, 0.25, 60, 0.5) == 0.75,
	    "up to half of it is left to chance");
	return tap_done();
}
