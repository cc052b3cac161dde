/*
 * A Modbus TCP device made with libmodbus, for andon to read. What it serves is encoded by libmodbus itself and told
 * on standard output as JSON, so that no line of andon's has a hand in what is expected.
 *
 *   libmodbus-server PATH   serves RTU as unit 1 on a serial port, 115200 baud without parity; the port told is 0
 *   libmodbus-server        listens on a free port of 127.0.0.1; first line: {"port":…,"tags":[…]}; serves until stdin closes
 */
#include <arpa/inet.h>
#include <byteswap.h>
#include <errno.h>
#include <inttypes.h>
#include <modbus.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REGISTERS = 400, BITS = 64, NO_READ = 3 };

static modbus_mapping_t *map;
static int comma = 0;

static void tell(const char *area, int address, const char *type, const char *order, const char *value)
{
    printf("%s{\"register\":\"%s\",\"address\":%d,\"type\":\"%s\",\"byteOrder\":\"%s\",\"value\":%s}",
           comma ? "," : "", area, address, type, order, value);
    comma = 1;
}

/*
 * Not by modbus_set_float_abcd and its kin: in libmodbus 3.1.6 (Debian 12) they put the bytes in the reverse of the
 * order that they are named for (mended later), so the test would depend on the version.
 */
static void put_float(uint16_t *to, int address, const char *area, const char *order, float value)
{
    char text[64];
    int32_t bits;
    uint16_t words[2], swapped;
    memcpy(&bits, &value, sizeof bits);
    MODBUS_SET_INT32_TO_INT16(words, 0, bits);
    if (order[0] == 'C' || order[0] == 'D') swapped = words[0], words[0] = words[1], words[1] = swapped;
    if (order[0] == 'B' || order[0] == 'D') words[0] = bswap_16(words[0]), words[1] = bswap_16(words[1]);
    to[address] = words[0];
    to[address + 1] = words[1];
    snprintf(text, sizeof text, "%.9g", (double) value);
    tell(area, address, "float32", order, text);
}

static void put_int32(uint16_t *to, int address, const char *area, int32_t value, int is_signed)
{
    char text[64];
    MODBUS_SET_INT32_TO_INT16(to, address, value);
    if (is_signed) snprintf(text, sizeof text, "%" PRId32, value);
    else snprintf(text, sizeof text, "%" PRIu32, (uint32_t) value);
    tell(area, address, is_signed ? "int32" : "uint32", "ABCD", text);
}

static void put_int64(uint16_t *to, int address, const char *area, int64_t value, int is_signed)
{
    char text[64];
    MODBUS_SET_INT64_TO_INT16(to, address, value);
    if (is_signed) snprintf(text, sizeof text, "%" PRId64, value);
    else snprintf(text, sizeof text, "%" PRIu64, (uint64_t) value);
    tell(area, address, is_signed ? "int64" : "uint64", "ABCD", text);
}

static void put_int16(uint16_t *to, int address, const char *area, int16_t value, int is_signed)
{
    char text[64];
    to[address] = (uint16_t) value;
    snprintf(text, sizeof text, "%d", is_signed ? value : (uint16_t) value);
    tell(area, address, is_signed ? "int16" : "uint16", "ABCD", text);
}

static void put_double(uint16_t *to, int address, const char *area, double value)
{
    char text[64];
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    MODBUS_SET_INT64_TO_INT16(to, address, bits);
    snprintf(text, sizeof text, "%.17g", value);
    tell(area, address, "float64", "ABCD", text);
}

static void put_bit(uint8_t *to, int address, const char *area, int value)
{
    to[address] = value ? 1 : 0;
    tell(area, address, "bool", "ABCD", value ? "1" : "0");
}

static void fill(uint16_t *registers, const char *area, int sign)
{
    const char *orders[] = { "ABCD", "CDAB", "BADC", "DCBA" };
    int address = 0, i;
    for (i = 0; i < 4; i++, address += 2) put_float(registers, address, area, orders[i], sign * (3.14159274f + i));
    put_float(registers, address, area, "CDAB", sign * 1e-40f), address += 2;
    put_int16(registers, address++, area, (int16_t) (sign * 12345), 1);
    put_int16(registers, address++, area, -1, 0);
    put_int16(registers, address++, area, -32768, 1);
    put_int32(registers, address, area, sign * 1234567890, 1), address += 2;
    put_int32(registers, address, area, (int32_t) 0xFFFFFFFE, 0), address += 2;
    put_int64(registers, address, area, sign * INT64_C(9007199254740991), 1), address += 4;
    put_int64(registers, address, area, INT64_C(4503599627370497), 0), address += 4;
    put_double(registers, address, area, sign * 2.718281828459045), address += 4;
    /* Far away, in a read of its own, up to the last register. */
    put_float(registers, REGISTERS - 2, area, "ABCD", sign * 1e30f);
}

static void tell_tags(int port)
{
    int i;
    printf("{\"port\":%d,\"tags\":[", port);
    fill(map->tab_registers, "holding", 1);
    fill(map->tab_input_registers, "input", -1);
    for (i = 0; i < BITS; i++) {
        put_bit(map->tab_bits, i, "coil", i % 3 == 0);
        put_bit(map->tab_input_bits, i, "discrete", i % 5 == 2);
    }
    printf("]}\n");
    fflush(stdout);
}

/* Ends the process, which the test sees, where anything but a read is asked for. */
static void expect_read(modbus_t *context, const uint8_t *query)
{
    uint8_t function = query[modbus_get_header_length(context)];
    if (function < 1 || function > 4) exit(NO_READ);
}

static int serve_rtu(const char *path)
{
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    struct pollfd fds[2];
    modbus_t *context = modbus_new_rtu(path, 115200, 'N', 8, 1);

    if (context == NULL || modbus_set_slave(context, 1) < 0 || modbus_connect(context) < 0) return 1;
    tell_tags(0);
    fds[0].fd = STDIN_FILENO;
    fds[1].fd = modbus_get_socket(context);
    fds[0].events = fds[1].events = POLLIN;
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return 1;
        if (fds[0].revents) return 0;
        if (!fds[1].revents) continue;
        int received = modbus_receive(context, query);
        if (received <= 0) continue;
        expect_read(context, query);
        modbus_reply(context, query, received, map);
    }
}

int main(int argc, char **argv)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    struct pollfd fds[17];
    int listener, count = 2, i;
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);

    map = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    if (context == NULL || map == NULL) return 1;
    if (argc > 1) return serve_rtu(argv[1]);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&bound, 0, sizeof bound);
    bound.sin_family = AF_INET;
    bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *) &bound, sizeof bound) < 0 || listen(listener, 8) < 0) return 1;
    getsockname(listener, (struct sockaddr *) &bound, &length);

    tell_tags(ntohs(bound.sin_port));
    fds[0].fd = STDIN_FILENO;
    fds[1].fd = listener;
    fds[0].events = fds[1].events = POLLIN;
    for (;;) {
        if (poll(fds, count, -1) < 0 && errno != EINTR) return 1;
        if (fds[0].revents) return 0;
        if ((fds[1].revents & POLLIN) && count < 17) {
            fds[count].fd = accept(listener, NULL, NULL);
            fds[count].events = POLLIN;
            fds[count++].revents = 0;
        }
        for (i = 2; i < count; i++) {
            if (!fds[i].revents) continue;
            modbus_set_socket(context, fds[i].fd);
            int received = modbus_receive(context, query);
            if (received > 0) expect_read(context, query);
            if (received > 0 && modbus_reply(context, query, received, map) >= 0) continue;
            if (received == 0) continue;
            close(fds[i].fd);
            fds[i--] = fds[--count];
        }
    }
}
