/* zstd_codec.h - zstd as the store's compressor: one independent frame for each block of at most 1 MiB. */
#ifndef LOOM_IO_ZSTD_CODEC_H
#define LOOM_IO_ZSTD_CODEC_H

/* Registers zstd with shm/ (shm/codec/codec.h). Every program that opens stores calls it once, before it opens one;
 * calling it again does nothing new. */
void loom_zstd_register(void);

#endif
