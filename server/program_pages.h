/*
 * server/program_pages.h — pages of the program that only the start needed.
 *
 * Dynamic linking, the C++ runtime under BoringSSL, the configuration, name services: their code
 * and constants stay resident for as long as nobody says that they may go. That is 2 MB of RSS, a
 * fifth of a broker with 10,000 devices.
 */
#pragma once

/* Forget the pages of read-only segments, of smqd and its libraries; who needs one again takes it
 * from the file, or from the kernel's cache of it, in a microsecond. Once, when all has started.
 * Any thread; the others go on meanwhile. */
void program_pages_forget(void);
