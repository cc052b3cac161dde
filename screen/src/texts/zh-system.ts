import type { enSystem } from './en-system.ts';

/** Texts of the page of the system in Chinese. */
export const zhSystem: Readonly<Record<keyof typeof enSystem, string>> = {
  'system.log': '日志',
  'system.logLevel': '级别',
  'system.logSearch': '搜索日志',
  'system.logCount': '行数：{count}',
  'log.debug': '调试',
  'log.info': '信息',
  'log.warn': '警告',
  'log.error': '错误',
  'system.rewind': '重新发送…',
  'system.rewindHint': '已送达的记录将以相同的标识重新发送（仅限仍保存的记录）。',
  'system.rewindFrom': '起始时间',
  'system.rewindAsk': '是否重新发送 {uplink} 自 {time} 起的所有记录？',
  'system.rewindNow': '重新发送',
  'system.rewound': '重新发送的记录：{count}，自 {time} 起。',
  'system.backup': '备份',
  'system.backupHint': '记录、报警、历史、模型和配置合为一个文件，供 andon restore 使用。不含密钥。',
  'system.passphrase': '密码短语（可选）',
  'system.passphraseShort': '密码短语至少需要 {count} 个字符。',
  'system.backupHistory': '包含采样历史',
  'system.backupStart': '下载备份',
  'system.backupRuns': '正在写入备份…',
  'system.backupDone': '已下载：{name}',
  'system.libraries': '库',
  'system.machine': '系统',
};
