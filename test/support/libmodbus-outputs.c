/*
 * A Modbus TCP coupler with outputs, made with libmodbus. It has a watchdog on a heartbeat register: if the register does not
 * change for a time, or is 0, each coil gets its safe value, until it changes again.
 *
 *   libmodbus-outputs REGISTER TIMEOUT_MS COIL=SAFE…
 *
 * Reports on standard output, a line each: {"port":…}; {"function":…,"address":…,"value":…} for each write; {"tripped":true}.
 * Ends when standard input closes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS = 256, CLIENTS = 16 };

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static void report_write(modbus_mapping_t *map, const uint8_t *query, int header)
{
    int function = query[header], address = query[header + 1] << 8 | query[header + 2];
    if (function == 5 || function == 15)
        printf("{\"function\":%d,\"address\":%d,\"value\":%d}\n", function, address, map->tab_bits[address]);
    if (function == 6 || function == 16)
        printf("{\"function\":%d,\"address\":%d,\"value\":%d}\n", function, address, map->tab_registers[address]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    struct pollfd fds[CLIENTS + 2];
    int listener, count = 2, i, heartbeat = atoi(argv[1]), timeout_ms = atoi(argv[2]), last = 0, tripped = 1;
    long changed_ms = 0;
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(ITEMS, ITEMS, ITEMS, ITEMS);

    if (context == NULL || map == NULL) return 1;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&bound, 0, sizeof bound);
    bound.sin_family = AF_INET;
    bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *) &bound, sizeof bound) < 0 || listen(listener, 8) < 0) return 1;
    getsockname(listener, (struct sockaddr *) &bound, &length);
    printf("{\"port\":%d}\n", ntohs(bound.sin_port));
    fflush(stdout);
    fds[0].fd = STDIN_FILENO;
    fds[1].fd = listener;
    fds[0].events = fds[1].events = POLLIN;
    for (;;) {
        if (poll(fds, count, 20) < 0 && errno != EINTR) return 1;
        if (fds[0].revents) return 0;
        if ((fds[1].revents & POLLIN) && count < CLIENTS + 2) {
            fds[count].fd = accept(listener, NULL, NULL);
            fds[count].events = POLLIN;
            fds[count++].revents = 0;
        }
        for (i = 2; i < count; i++) {
            if (!fds[i].revents) continue;
            modbus_set_socket(context, fds[i].fd);
            int received = modbus_receive(context, query);
            if (received == 0) continue;
            if (received > 0 && modbus_reply(context, query, received, map) >= 0) {
                report_write(map, query, modbus_get_header_length(context));
                continue;
            }
            close(fds[i].fd);
            fds[i--] = fds[--count];
        }
        if (map->tab_registers[heartbeat] != last && map->tab_registers[heartbeat] != 0) {
            changed_ms = now_ms();
            tripped = 0;
        }
        last = map->tab_registers[heartbeat];
        if (tripped || (last != 0 && now_ms() - changed_ms < timeout_ms)) continue;
        tripped = 1;
        for (i = 3; i < argc; i++) map->tab_bits[atoi(argv[i])] = atoi(strchr(argv[i], '=') + 1);
        printf("{\"tripped\":true}\n");
        fflush(stdout);
    }
}
