/* A static library needs one source: stands in for a room without any. */
typedef int loom_empty_room;
