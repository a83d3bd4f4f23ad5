/* webui/led/wire.js: what anybody may publish, read with suspicion. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';

import {readDevice, readSwitch, readTemperature, switchCommand} from '../../webui/led/wire.js';

const LED = {id: 1, name: 'Alarm', color: 'red', on: false};

describe('devinfo', () => {
    it('is a name, an address, a temperature and LEDs', () => {
        assert.deepEqual(readDevice({devname: 'Lamp', ipaddr: '192.0.2.1', temp: -55, leds: [LED]}),
            {name: 'Lamp', ip: '192.0.2.1', temperature: -5.5, leds: [LED]});
    });

    it('may be without a temperature, a name and an address', () => {
        assert.deepEqual(readDevice({leds: []}),
            {name: 'Nameless device', ip: '', temperature: undefined, leds: []});
    });

    it('may say on with a number, and leave out what it can', () => {
        assert.deepEqual(readDevice({leds: [{id: 3, on: 1}]}).leds,
            [{id: 3, name: 'LED 3', color: '', on: true}]);
    });

    it('that is none makes no device', () => {
        for (const info of [undefined, null, 5, 'x', [], {}, {leds: 5}, {leds: {id: 1}}])
            assert.equal(readDevice(info), undefined);
    });

    it('loses the LEDs that cannot be switched, and those beyond 64', () => {
        const bad = [null, 5, {}, {id: '1'}, {id: -1}, {id: 256}, {id: 1.5}];

        assert.deepEqual(readDevice({leds: [...bad, LED]}).leds, [LED]);
        assert.equal(readDevice({leds: Array.from({length: 200}, (_, id) => ({id}))}).leds.length,
            64);
    });

    it('has each LED once', () => {
        assert.equal(readDevice({leds: [LED, {...LED, name: 'again'}]}).leds.length, 1);
    });

    it('is cut where it is too long, and is not asked what it is', () => {
        const device = readDevice({devname: 'x'.repeat(1000), ipaddr: {}, temp: '21',
            leds: [{...LED, name: 5, color: []}]});

        assert.equal(device.name.length, 80);
        assert.equal(device.ip, '');
        assert.equal(device.temperature, undefined);
        assert.deepEqual(device.leds[0], {id: 1, name: 'LED 1', color: '', on: false});
    });
});

describe('two bytes', () => {
    it('switch an LED', () => {
        assert.deepEqual([...switchCommand(4, true), ...switchCommand(255, false)], [4, 1, 255, 0]);
    });

    it('say that it was switched', () => {
        assert.deepEqual(readSwitch(Uint8Array.of(4, 1)), {id: 4, on: true});
        assert.deepEqual(readSwitch(Uint8Array.of(4, 0)), {id: 4, on: false});
        for (const bytes of [[], [4], [4, 2], [4, 1, 0]])
            assert.equal(readSwitch(Uint8Array.from(bytes)), undefined);
    });

    it('are a temperature, also below zero, also within a larger buffer', () => {
        assert.equal(readTemperature(Uint8Array.of(0, 215)), 21.5);
        assert.equal(readTemperature(Uint8Array.of(255, 246)), -1);
        assert.equal(readTemperature(Uint8Array.of(9, 0, 215).subarray(1)), 21.5);
        assert.equal(readTemperature(Uint8Array.of(5)), undefined);
    });
});
